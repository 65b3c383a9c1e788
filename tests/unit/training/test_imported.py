"""A run that starts from a Hugging Face folder: kept as it is, or trained on, and then independent of the folder."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from marian_folder import write_folder
from pretrained import imported_settings, load_folder
from small_runs import same, settings, weights

from seq2seq.checkpoint.weights import model_tensors
from seq2seq.config.loading import load_stored
from seq2seq.config.schema import TrainSettings
from seq2seq.errors import ConfigError
from seq2seq.inference.trained_model import load_trained
from seq2seq.training.init_from import read_init_from
from seq2seq.training.preflight import check
from seq2seq.training.run import train

SMALL = (
    *("device=cpu", "precision=fp32", "data.train=60", "data.valid=8", "data.test=8", "search=greedy"),
    *("search.max_length=12", "trainer.tokens_per_update=400", "trainer.probes=0", "schedule=constant"),
    *("trainer.validate_every=4", "trainer.save_every=4", "optimizer.lr=1e-3"),
)

pytestmark = [pytest.mark.usefixtures("in_its_own_folder"), pytest.mark.usefixtures("without_shape_checks")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "opus")


def small(folder: Path, run: str, *words: str) -> TrainSettings:
    return imported_settings(folder, *SMALL, f"run={run}", *words)


def test_a_run_without_updates_is_the_folders_model(folder: Path) -> None:
    settings = small(folder, "kept", "trainer.max_updates=0")
    train(settings)
    loaded = load_folder(folder)
    shutil.rmtree(folder)
    found = load_trained("kept", load_stored("kept"), "best")
    assert (found.step, found.tokenizer.fingerprint) == (0, loaded.tokenizer.fingerprint)
    assert same(model_tensors(found.model), model_tensors(loaded.model))
    train(settings)  # which is finished


def test_a_kept_run_is_trained_on_as_if_it_began_now(folder: Path) -> None:
    train(small(folder, "whole", "trainer.max_updates=4"))
    train(small(folder, "kept", "trainer.max_updates=0"))
    train(small(folder, "kept", "trainer.max_updates=4"))
    assert same(weights("kept", 4), weights("whole", 4))


def test_another_run_starts_from_an_imported_one(folder: Path) -> None:
    train(small(folder, "kept", "trainer.max_updates=0"))
    found = read_init_from(replace(small(folder, "x"), init_from="kept"))
    assert found is not None and found.fresh == ()
    assert same(dict(found.weights), model_tensors(load_folder(folder).model))


def test_training_resumes_bitwise_without_the_folder(folder: Path) -> None:
    words = ("freeze=[encoder]", "encoder.dropout=0.3")
    train(small(folder, "tuned", *words, "trainer.max_updates=8"))
    Path("runs/tuned").rename("runs/whole")
    train(small(folder, "tuned", *words, "trainer.max_updates=4"))
    shutil.rmtree(folder)
    train(small(folder, "tuned", *words, "trainer.max_updates=8"))
    assert same(weights("tuned", 8), weights("whole", 8))


def test_parts_named_in_init_fresh_start_at_random(folder: Path) -> None:
    found = read_init_from(small(folder, "x", "init_fresh=[decoder.layers.1]"))
    assert found is not None and found.fresh
    assert all(name.startswith("decoder.layers.1.") for name in found.fresh)
    assert not set(found.fresh) & found.weights.keys()


def test_settings_that_did_not_come_from_the_command_line_are_compared(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        train(settings("x", f"init_from=hf:{folder}"))
    assert str(caught.value).startswith(f"init_from=hf:{folder} has other parts than these settings. Give the same: ")
    assert " encoder=transformer " in str(caught.value) and " tie=all " in str(caught.value)
    assert not Path("runs/x").exists()


def test_checkpoints_are_of_runs(folder: Path) -> None:
    expected = ["init_checkpoint is for runs: init_from=hf:FOLDER has one set of weights"]
    assert check(small(folder, "x", "init_checkpoint=last")) == expected


def test_language_codes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING")
    path = write_folder(tmp_path / "many", codes=[">>fra<<", ">>deu<<"])
    read_init_from(small(path, "x", "data.source_prefix='>>deu<< '"))
    assert caplog.messages == []
    read_init_from(small(path, "x"))
    (line,) = caplog.messages
    assert line.endswith(
        "translates into several languages: unless each source begins with a code such as >>fra<<, give one: "
        "data.source_prefix='>>fra<< '"
    )
    with pytest.raises(ConfigError, match="has no such language code; it has >>fra<<, >>deu<<"):
        read_init_from(small(path, "x", "data.source_prefix='>>spa<< '"))
    with pytest.raises(ConfigError, match="has no such language code; it has none"):
        read_init_from(small(write_folder(tmp_path / "one"), "x", "data.source_prefix='>>spa<< '"))
