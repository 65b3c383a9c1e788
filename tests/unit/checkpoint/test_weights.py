"""A model's tensors: tied ones are saved once, loading is bitwise exact, and all mismatches are listed."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from seq2seq.checkpoint import RunFolder, load, load_model, model_tensors, save
from seq2seq.errors import CheckpointError


class Example(nn.Module):
    """Tied weights, both kinds of buffers, an integer buffer, a transposed (non-contiguous) parameter."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, width)
        self.output = nn.Linear(width, 7)
        self.output.weight = self.embedding.weight
        self.turned = nn.Parameter(torch.randn(3, width).t())
        self.register_buffer("kept", torch.randn(2))
        self.register_buffer("computed", torch.randn(2), persistent=False)
        self.register_buffer("count", torch.tensor(3))


def stored(model: nn.Module, folder: Path) -> dict[str, Tensor]:
    run = RunFolder(folder)
    save(run, 1, {"model": model_tensors(model), "optimizer": {}}, {})
    return load(run, "last").model


def bits(tensor: Tensor) -> bytes:
    return tensor.detach().contiguous().numpy().tobytes()


def test_tied_tensors_once_and_only_persistent_buffers() -> None:
    assert list(model_tensors(Example())) == ["turned", "kept", "count", "embedding.weight", "output.bias"]


def test_saving_and_loading_is_bitwise_exact(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, again = Example(), Example()
    with torch.no_grad():
        model.kept.copy_(torch.tensor([float("nan"), -0.0]))
    assert not model.turned.is_contiguous()
    load_model(again, stored(model, tmp_path))
    for name, tensor in model.state_dict().items():
        assert bits(again.state_dict()[name]) == bits(tensor), name
    assert again.output.weight is again.embedding.weight
    assert not torch.equal(again.computed, model.computed)


def test_views_of_one_storage_are_saved_separately(tmp_path: Path) -> None:
    whole = torch.arange(12.0)
    run = RunFolder(tmp_path)
    save(run, 1, {"model": {"a": whole[:8], "b": whole[4:], "c": whole.view(3, 4).t()}, "optimizer": {}}, {})
    found = load(run, "last").model
    assert torch.equal(found["a"], whole[:8])
    assert torch.equal(found["b"], whole[4:])
    assert torch.equal(found["c"], whole.view(3, 4).t())


def test_all_mismatches_are_listed_and_nothing_is_changed() -> None:
    model = Example()
    before = {name: tensor.clone() for name, tensor in model_tensors(model).items()}
    tensors = {name: tensor + 1 for name, tensor in before.items()}
    del tensors["turned"]
    tensors |= {"extra": torch.ones(1), "output.bias": torch.ones(8), "kept": torch.ones(2, dtype=torch.float64)}
    with pytest.raises(CheckpointError) as caught:
        load_model(model, tensors)
    assert str(caught.value).split("\n") == [
        "the checkpoint belongs to another model:",
        "  turned: not in the checkpoint",
        "  extra: not in this model",
        "  kept: float64 [2] in the checkpoint, float32 [2] in this model",
        "  output.bias: float32 [8] in the checkpoint, float32 [7] in this model",
    ]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model_tensors(model).items())


def test_long_list_is_truncated() -> None:
    with pytest.raises(CheckpointError, match=r"t7: not in this model\n  \.\.\. and 12 more$"):
        load_model(nn.Module(), {f"t{number}": torch.ones(1) for number in range(20)})
