"""A run with an adapter: it begins as the run that it starts from, resumes bitwise, and is used merged."""

import shutil
from pathlib import Path

import pytest
import torch
from marian_folder import write_folder
from pretrained import imported_settings
from small_runs import same, settings, weights

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.read import load
from seq2seq.checkpoint.weights import model_tensors
from seq2seq.config.loading import load_stored
from seq2seq.config.problems import Mistakes
from seq2seq.config.schema import TrainSettings
from seq2seq.inference.trained_model import load_trained
from seq2seq.training.init_from import read_init_from
from seq2seq.training.preflight import check
from seq2seq.training.run import train

PARTS = ("attention=bahdanau", "attention.attn_dim=8", "decoder.attend=before")
LORA = ("adapter=lora", "adapter.rank=2", "adapter.dropout=0.1", "optimizer.lr=0.01", "data.target_language=fr")

pytestmark = pytest.mark.usefixtures("in_its_own_folder", "without_shape_checks")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        train(settings("base", *PARTS, "trainer.max_updates=4"))
    return place / "runs" / "base"


def adapted(base: Path | str, run: str, *words: str) -> TrainSettings:
    return settings(run, f"init_from={base}", *PARTS, *LORA, *words)


def own(run: str, step: int) -> dict[str, torch.Tensor]:
    return load(RunFolder.of(run), f"step-{step}", ["model"]).model


def test_only_the_factors_are_trained_and_the_run_resumes_bitwise(base: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    train(adapted(base, "lora", "trainer.max_updates=8"))
    assert "init_fresh" not in caplog.text
    assert "run runs/lora begins: 0.0M parameters, 328 of them trained, on cpu in fp32" in caplog.text
    Path("runs/lora").rename("runs/whole")
    train(adapted(base, "lora", "trainer.max_updates=4"))
    train(adapted(base, "lora", "trainer.max_updates=8"))
    assert same(weights("lora", 8), weights("whole", 8))

    given, after = own(str(base), 4), own("lora", 8)
    assert all(torch.equal(given[name], after[name]) for name in given)
    factors = after.keys() - given.keys()
    assert factors and all(".lora." in name for name in factors)
    assert sum(after[name].numel() for name in factors) == 328
    assert all(after[name].any() for name in factors)


def test_it_begins_with_the_outputs_of_the_other_run(base: Path) -> None:
    train(adapted(base, "lora", "trainer.max_updates=0"))
    found, other = (
        load_trained("lora", load_stored("lora"), "best"),
        load_trained(str(base), load_stored(str(base)), "best"),
    )
    assert same(model_tensors(found.model), model_tensors(other.model))


def test_what_uses_the_run_has_merged_weights(base: Path) -> None:
    train(adapted(base, "lora", "trainer.max_updates=4"))
    given, after = own(str(base), 4), own("lora", 4)
    found = model_tensors(load_trained("lora", load_stored("lora"), "last").model)
    assert found.keys() == given.keys()
    name = "decoder.readout"
    change = 16 / 2 * after[f"{name}.lora.0.b"] @ after[f"{name}.lora.0.a"]
    assert torch.allclose(found[f"{name}.weight"], given[f"{name}.weight"] + change, atol=1e-6)
    unchanged = {name for name in given if torch.equal(found[name], given[name])}
    assert unchanged == {name for name in given if f"{name.removesuffix('weight')}lora.0.a" not in after}

    started = read_init_from(
        settings("next", "init_from=lora", "init_checkpoint=last", *PARTS, "data.target_language=fr")
    )
    assert started is not None and started.fresh == ()
    assert same(dict(started.weights), found)
    again = read_init_from(adapted("lora", "again", "init_checkpoint=last"))
    assert again is not None and same(dict(again.weights), found)


def test_a_moving_average_and_means_of_checkpoints_are_merged(base: Path) -> None:
    train(adapted(base, "lora", "trainer.max_updates=8", "trainer.ema=0.5"))
    names = own(str(base), 4).keys()
    for checkpoint in ("best", "ema", "average", "average-best", "last"):
        assert model_tensors(load_trained("lora", load_stored("lora"), checkpoint).model).keys() == names


def test_factors_can_be_frozen_too(base: Path) -> None:
    train(adapted(base, "lora", "trainer.max_updates=4", "freeze=[decoder.attention]"))
    after = own("lora", 4)
    trained = {name for name in after if name.endswith("lora.0.b") and after[name].any()}
    assert trained and not [name for name in trained if name.startswith("decoder.attention.")]
    assert "decoder.attention.query_map.lora.0.b" in after


def test_a_folder_of_another_program_is_adapted(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "opus")
    small = ("device=cpu", "precision=fp32", "data.train=60", "data.valid=8", "trainer.probes=0", "search=greedy",
             "search.max_length=12", "schedule=constant", "optimizer.lr=0.01")  # fmt: skip
    train(imported_settings(folder, *small, "adapter=lora", "run=lora", "trainer.max_updates=3"))
    shutil.rmtree(folder)
    after = own("lora", 3)
    assert after["encoder.layers.0.self_attention.maps.lora.2.b"].any()
    model = load_trained("lora", load_stored("lora"), "last").model
    assert not torch.equal(model_tensors(model)["encoder.layers.0.self_attention.maps.weight"],
                           after["encoder.layers.0.self_attention.maps.weight"])  # fmt: skip


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["adapter=lora"], "adapter=lora applies to init_from, which names no run"),
        (["adapter=lora", "init_from=a", "adapter.targets=[encoder,atention]"],
         "adapter.targets: no linear map that can be adapted is called 'encoder'"),
        (["adapter=lora", "init_from=a", "freeze=['*']"], "freeze: nothing is left to train; remove a name from it"),
    ],
)  # fmt: skip
def test_mistakes_are_reported_before_any_data_is_read(words: list[str], line: str) -> None:
    assert check(settings("x", *words))[0].startswith(line)


def test_wrong_values_are_reported_with_their_key() -> None:
    with pytest.raises(Mistakes) as caught:
        settings("x", "adapter=lora", "adapter.rank=0")
    assert caught.value.lines == ("adapter.rank=0: expected 1 or more, got 0",)
