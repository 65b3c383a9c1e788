"""The weights of a folder in our model: the same probabilities as its own equations give."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from marian_folder import write_folder
from naive_marian import Naive
from pretrained import load_folder
from safetensors.torch import load_file, save_file
from torch import Tensor

from seq2seq.checkpoint.weights import model_tensors
from seq2seq.errors import CheckpointError
from seq2seq.huggingface.folder import ModelFolder
from seq2seq.huggingface.tensors import channels, imported
from seq2seq.types import BOS

FOLDERS: dict[str, dict[str, Any]] = {
    "marian": {},
    "pegasus": {"family": "pegasus"},
    "two vocabularies": {"separate": True},
    "other sizes": {"decoder_layers": 1, "encoder_attention_heads": 4, "encoder_ffn_dim": 20, "d_model": 16},
    "no ties": {"separate": True, "tie_word_embeddings": False},
    "not scaled": {"scale_embedding": False},
    "a piece is lacking": {"lacking": ["an"]},
}


def difference(path: Path) -> Tensor:
    """The largest difference of log p between our model and the naive one, over random rows."""
    loaded = load_folder(path)
    model, source, target = loaded.model, loaded.source, loaded.target
    config = json.loads((path / "config.json").read_text())
    draw = torch.Generator().manual_seed(3)
    ids = torch.randint(4, len(source.rows), (3, 9), generator=draw)
    target_in = torch.cat((torch.full((3, 1), BOS), torch.randint(4, len(target.rows), (3, 7), generator=draw)), 1)
    naive = Naive(config, ModelFolder(path, "").weights())
    with torch.no_grad():
        memory = model.encode(ids, torch.ones_like(ids, dtype=torch.bool))
        ours = model.generator.log_probs(model.decode(target_in, memory), memory.tokens)
        theirs = naive.log_probs(torch.tensor(source.rows)[ids], torch.tensor(target.rows)[target_in])
    real = [index for index in range(len(target.rows)) if index not in target.never]
    assert ours[..., target.never].max() < -50
    return (ours[..., real] - theirs[..., torch.tensor(target.rows)[real]]).abs().max()


@pytest.mark.parametrize("name", FOLDERS)
def test_probabilities_are_those_of_the_folders_equations(tmp_path: Path, name: str) -> None:
    assert difference(write_folder(tmp_path, **FOLDERS[name])) < 1e-5


@pytest.mark.parametrize("stored", ["fp16", "pytorch_model.bin", "several files"])
def test_weights_are_read_as_they_are_stored(tmp_path: Path, stored: str) -> None:
    path = write_folder(tmp_path)
    file = path / "model.safetensors"
    tensors = load_file(file)
    if stored == "fp16":
        save_file({name: tensor.half() for name, tensor in tensors.items()}, file)
    elif stored == "pytorch_model.bin":
        file.unlink()
        torch.save({**tensors, "lm_head.weight": tensors["model.shared.weight"]}, path / stored)
    else:
        file.unlink()
        names = list(tensors)
        parts = {f"model-{part}-of-2.safetensors": names[part - 1 :: 2] for part in (1, 2)}
        for part, inside in parts.items():
            save_file({name: tensors[name] for name in inside}, path / part)
        index = {name: part for part, inside in parts.items() for name in inside}
        (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    assert difference(path) < 1e-5


def test_a_missing_bias_of_the_output_is_zero(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    tensors = load_file(path / "model.safetensors")
    del tensors["final_logits_bias"]
    save_file(tensors, path / "model.safetensors")
    loaded = load_folder(path)
    bias = model_tensors(loaded.model)["generator.output.bias"]
    assert bias.count_nonzero() == len(loaded.target.never)


def test_nothing_in_a_file_of_weights_is_executed(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    (path / "model.safetensors").unlink()
    torch.save({"a": print}, path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin cannot be read: Weights only load failed"):
        ModelFolder(path, "hf:x").weights()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("remove", "init_from=hf:x: the folder has no model.safetensors and no pytorch_model.bin"),
        ("damage", "model.safetensors cannot be read: "),
        ("lose", "the weights have no tensor model.decoder.layers.1.encoder_attn.out_proj.bias"),
    ],
)
def test_broken_weights_are_reported(tmp_path: Path, change: str, message: str) -> None:
    path = write_folder(tmp_path)
    file = path / "model.safetensors"
    if change == "remove":
        file.unlink()
    elif change == "damage":
        file.write_bytes(b"no weights")
    else:
        tensors = load_file(file)
        del tensors["model.decoder.layers.1.encoder_attn.out_proj.bias"]
        save_file(tensors, file)
    with pytest.raises(CheckpointError) as caught:
        theirs = ModelFolder(path, "hf:x").weights()
        imported(theirs, ["decoder.layers.1.attention.output_map.bias"], {"source": [], "target": []}, [])
    assert message in str(caught.value)


@pytest.mark.parametrize(("width", "order"), [(6, [0, 3, 1, 4, 2, 5]), (5, [0, 3, 1, 4, 2]), (1, [0])])
def test_order_of_channels(width: int, order: list[int]) -> None:
    assert channels(width).tolist() == order
