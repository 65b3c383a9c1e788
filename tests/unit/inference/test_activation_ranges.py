"""The ranges for precision=int8: measured on training pairs at first use, then kept with the run."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import small_runs

from seq2seq.config.schema import TrainSettings
from seq2seq.errors import CheckpointError, ConfigError, DataError
from seq2seq.inference import activation_ranges
from seq2seq.inference.trained_model import load_trained
from seq2seq.inference.translator import Translator
from seq2seq.layers.packed_linear import packing_works
from seq2seq.training.run import train

pytestmark = pytest.mark.skipif(not packing_works(), reason="this PyTorch or processor has no packed products")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of four updates and two checkpoints."""
    made = tmp_path_factory.mktemp("ranges")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        train(small_runs.settings("one", "trainer.max_updates=4", "trainer.save_every=2"))
    return made


@pytest.fixture
def settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> TrainSettings:
    monkeypatch.chdir(folder)
    for file in Path("runs/one").glob("int8/*"):
        file.unlink()
    return replace(small_runs.settings("one", "trainer.max_updates=4", "trainer.save_every=2"), precision="int8")


def files() -> list[Path]:
    return sorted(Path("runs/one/int8").glob("*"))


def test_they_are_measured_once_and_then_need_no_data(settings: TrainSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["12 January", "a kilometre", "in 3 days"]
    first = Translator(load_trained("one", settings, "last"), settings).translate(texts)
    (file,) = files()
    kept = file.read_bytes()
    assert all(low <= 0 <= high and low < high for low, high in json.loads(kept)["ranges"].values())
    monkeypatch.setattr(activation_ranges, "prepare_split", None)
    again = Translator(load_trained("one", settings, "last"), settings).translate(texts)
    assert again == first
    assert file.read_bytes() == kept


def test_other_weights_have_their_own(settings: TrainSettings) -> None:
    load_trained("one", settings, "last")
    load_trained("one", settings, "step-2")
    assert len(files()) == 2


def test_without_the_training_data_one_line_says_what_to_do(
    settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(**_: object) -> None:
        raise DataError("corpus.de: there is no such file")

    monkeypatch.setattr(activation_ranges, "prepare_split", gone)
    with pytest.raises(DataError) as caught:
        load_trained("one", settings, "last")
    line = str(caught.value)
    assert line.startswith("precision=int8 needs the training data of runs/one once")
    assert line.endswith("use precision=bf16 or fp32, or give the data: corpus.de: there is no such file")
    assert "\n" not in line
    assert not files()


DAMAGED = [
    "",
    "[]",
    "{}",
    "\0",
    *(f'{{"generator.output": {ends}}}' for ends in ("[0]", "[NaN, 1]", "[0, Infinity]", "[1, 0]")),
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_is_named(settings: TrainSettings, content: str) -> None:
    load_trained("one", settings, "last")
    (file,) = files()
    file.write_text(content)
    with pytest.raises(CheckpointError, match=f"{file} is damaged: delete it"):
        load_trained("one", settings, "last")


def test_a_folder_that_cannot_be_written_is_no_error(
    settings: TrainSettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(activation_ranges, "replace_file", full)
    with caplog.at_level(logging.WARNING):
        found = Translator(load_trained("one", settings, "last"), settings).translate(["12 January"])
    assert len(found) == 1
    assert "No space left on device" in caplog.text
    assert "measured again next time" in caplog.text
    assert not files()


def test_where_there_are_no_kernels_one_line_says_so(settings: TrainSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation_ranges, "packing_works", lambda: False)
    with pytest.raises(ConfigError, match=r"^precision=int8: this PyTorch has no kernels .*use fp32 or bf16$"):
        load_trained("one", settings, "last")


def test_activations_that_are_not_finite_are_refused(settings: TrainSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation_ranges, "measure", lambda *_: {"generator.output": (0.0, float("inf"))})
    with pytest.raises(CheckpointError, match="the activations of runs/one are not finite"):
        load_trained("one", settings, "last")
    assert not files()
