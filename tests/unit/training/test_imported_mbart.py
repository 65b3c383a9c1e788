"""A run that starts from an mBART-50 folder: trained whole or with LoRA, its codes on both sides."""

import shutil
from pathlib import Path

import pytest
from mbart_folder import write_mbart
from pretrained import imported_settings, load_folder
from small_runs import same, weights

from seq2seq.checkpoint.weights import model_tensors
from seq2seq.config.loading import load_stored
from seq2seq.config.schema import TrainSettings
from seq2seq.errors import ConfigError
from seq2seq.inference.trained_model import load_trained
from seq2seq.inference.translator import Translator
from seq2seq.logger.jsonl import read_metrics
from seq2seq.training.init_from import read_init_from
from seq2seq.training.run import train

pytest.importorskip("transformers")
pytestmark = [pytest.mark.usefixtures("in_its_own_folder"), pytest.mark.usefixtures("without_shape_checks")]

SOURCE = "data.source_prefix='de_DE '"
SMALL = (
    *("device=cpu", "precision=fp32", "data.train=60", "data.valid=8", "data.test=8", "search=greedy"),
    *("search.max_length=12", "trainer.tokens_per_update=400", "trainer.probes=1", "schedule=constant"),
    *("trainer.validate_every=4", "trainer.save_every=4", "optimizer.lr=1e-2"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_mbart(tmp_path / "mbart")


def small(folder: Path, run: str, *words: str) -> TrainSettings:
    last = {word.partition("=")[0]: word for word in (*SMALL, SOURCE, f"run={run}", *words)}
    return imported_settings(folder, *last.values())


def test_a_run_without_updates_is_the_folders_model(folder: Path) -> None:
    train(small(folder, "kept", "trainer.max_updates=0"))
    loaded = load_folder(folder, SOURCE)
    shutil.rmtree(folder)
    settings = load_stored("kept")
    assert settings.data.arguments["target_prefix"] == "en_XX ", "generation_config.json says so"
    found = load_trained("kept", settings, "best")
    assert same(model_tensors(found.model), model_tensors(loaded.model))
    assert found.tokenizer.target.decode([found.target_start]) == ["en_XX"] and len(found.target_start) == 1
    translated = Translator(found, settings).translate(["ka lo mi", "ter schämi"])
    assert not any(one.text.startswith("en_XX") for one in translated)


@pytest.mark.parametrize("adapter", ["none", "lora"])
def test_fine_tuning_learns_and_resumes_bitwise_without_the_folder(folder: Path, adapter: str) -> None:
    words = (f"adapter={adapter}", "data.target_prefix='fr_XX '")
    train(small(folder, "tuned", *words, "trainer.max_updates=12"))
    figures = [line["valid/nll"] for line in read_metrics(Path("runs/tuned/metrics.jsonl")) if "valid/nll" in line]
    assert figures[-1] < figures[0]
    Path("runs/tuned").rename("runs/whole")
    train(small(folder, "tuned", *words, "trainer.max_updates=8"))
    shutil.rmtree(folder)
    train(small(folder, "tuned", *words, "trainer.max_updates=12"))
    assert same(weights("tuned", 12), weights("whole", 12))


def test_the_folders_target_code_is_kept_without_the_folder(folder: Path) -> None:
    train(small(folder, "tuned", "trainer.max_updates=4"))
    shutil.rmtree(folder)
    train(small(folder, "tuned", "trainer.max_updates=8"))
    assert load_stored("tuned").data.arguments["target_prefix"] == "en_XX "


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("prefix", ["", "de_DE", "xx_XX ", "x de_DE "])
def test_a_code_must_be_given_on_each_side(tmp_path: Path, side: str, prefix: str) -> None:
    path = write_mbart(tmp_path / "mbart", forced=None)
    given = {"source": "de_DE ", "target": "en_XX ", side: prefix}
    words = [f"data.{key}_prefix='{value}'" for key, value in given.items()]
    with pytest.raises(ConfigError) as caught:
        read_init_from(imported_settings(path, *SMALL, "run=x", *words))
    example = {"source": "de_DE ", "target": "en_XX "}[side]
    assert str(caught.value).startswith(
        f"data.{side}_prefix={prefix!r}: each {side} of init_from=hf:{path} begins with the code of its language and a "
        f"space, such as data.{side}_prefix='{example}'; it has ar_AR, cs_CZ, "
    )
    assert str(caught.value).endswith("gl_ES, sl_SI")


def test_texts_beyond_its_positions_are_refused(folder: Path) -> None:
    words = ["length.max_source=300", "length.max_target=299", "search.max_length=500"]
    with pytest.raises(ConfigError) as caught:
        read_init_from(small(folder, "x", *words))
    assert str(caught.value) == (
        f"init_from=hf:{folder} has 300 positions (config.json: max_position_embeddings), too few for these lengths. "
        "Type: length.max_source=299 search.max_length=299"
    )
    assert read_init_from(small(folder, "x", "length.max_source=299", "length.max_target=299")) is not None
