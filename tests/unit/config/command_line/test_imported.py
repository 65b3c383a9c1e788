"""init_from=hf:FOLDER brings the settings of the folder, and typed words that contradict them are errors."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from marian_folder import write_folder

from seq2seq.config import CONFIGS, Script, write_config
from seq2seq.config.command_line.check import check
from seq2seq.config.presets import TextSize
from seq2seq.config.problems import Mistakes
from seq2seq.config.schema import TrainSettings
from seq2seq.config.stored_run import diff, stored_config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("marian"))


def loaded(*words: str) -> TrainSettings:
    script = Script("train", TrainSettings, run=print, folder=CONFIGS)
    settings: TrainSettings = script.load(check(script, words)[1])
    return settings


def mistakes(*words: str) -> Sequence[str]:
    with pytest.raises(Mistakes) as caught:
        loaded(*words)
    return caught.value.lines


def test_parts_and_sizes_are_those_of_the_folder(folder: Path) -> None:
    settings = loaded(f"init_from=hf:{folder}", "optimizer.lr=1e-4")
    assert settings.choices["encoder"] == settings.choices["decoder"] == "transformer"
    assert (settings.choices["attention"], settings.choices["tokenizer"], settings.tie) == (
        "multihead",
        "unigram",
        "all",
    )
    sizes = {"hidden_size": 8, "layers": 2, "heads": 2, "inner_size": 12, "norm": "post", "activation": "silu"}
    for part in (settings.encoder, settings.decoder):
        assert {key: part.arguments[key] for key in sizes} == sizes
    assert settings.search.arguments["beam_size"] == 4
    assert settings.init_from == f"hf:{folder}"
    assert settings.preset == {}


def test_values_of_training_may_be_typed(folder: Path) -> None:
    words = ("encoder.dropout=0.3", "embedding.dropout=0", "encoder.layer_drop=0.2", "search.beam_size=7")
    settings = loaded(f"init_from=hf:{folder}", *words, "encoder=transformer", "encoder.layers=2")
    assert settings.encoder.arguments["dropout"] == 0.3 and settings.decoder.arguments["dropout"] == 0.1
    assert settings.embedding.dropout == 0 and settings.encoder.arguments["layer_drop"] == 0.2
    assert (settings.search.arguments["beam_size"], settings.search.arguments["max_length"]) == (7, 39)
    assert loaded(f"init_from=hf:{folder}", "search=greedy").search.arguments["max_length"] == 256


def test_text_of_the_users_own_has_no_preset(folder: Path) -> None:
    """Whose sizes are the folder's, and its text need not be read."""
    seen: list[TrainSettings] = []

    def never(settings: TrainSettings) -> TextSize:
        raise AssertionError("the training text must not be read")

    files = [f"data.{split}.{side}=x" for split in ("train", "valid") for side in ("source", "target")]
    script = Script("train", TrainSettings, run=seen.append, size_of=never)
    script.start(check(script, [f"init_from=hf:{folder}", "data=files", *files])[1])
    assert (seen[0].choices["preset"], seen[0].encoder.arguments["hidden_size"]) == ("none", 8)


def test_an_experiment_gives_the_rest(folder: Path) -> None:
    settings = loaded(f"init_from=hf:{folder}", "experiment=multi30k/transformer")
    plain = loaded("experiment=multi30k/transformer")
    assert settings.trainer == plain.trainer and settings.optimizer == plain.optimizer
    assert settings.encoder.arguments["hidden_size"] == 8


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["encoder.layers=3"], ["encoder.layers=3: {init} has encoder.layers=2 (config.json: encoder_layers)"]),
        (["encoder=lstm", "tie=target"],
         ["encoder=lstm: {init} has encoder=transformer", "tie=target: {init} has tie=all"]),
        (["decoder.norm=pre"], ["decoder.norm=pre: {init} has decoder.norm=post"]),
        (["tokenizer=bpe"], ["tokenizer=bpe: {init} has tokenizer=unigram"]),
        (["encoder.distinct_layers=1"], ["encoder.distinct_layers=1: {init} has encoder.distinct_layers=null"]),
    ],
)  # fmt: skip
def test_what_contradicts_the_folder_is_named(folder: Path, words: list[str], lines: list[str]) -> None:
    found = mistakes(f"init_from=hf:{folder}", *words, "sead=1")
    expected = [f"{line.format(init=f'init_from=hf:{folder}')}; leave it out" for line in lines]
    assert [line for line in found if line in expected] == expected
    assert "sead=1: no such key; did you mean seed?" in found


def test_folders_that_cannot_be_used(folder: Path, tmp_path: Path) -> None:
    assert mistakes(f"init_from=hf:{tmp_path}/x")[0].startswith(f"init_from=hf:{tmp_path}/x: there is no {tmp_path}/x/")
    shutil.copytree(folder, tmp_path / "y")
    config = tmp_path / "y/config.json"
    config.write_text(config.read_text().replace('"swish"', '"gelu_new"').replace('"d_model": 8', '"d_model": null'))
    assert len(mistakes(f"init_from=hf:{tmp_path}/y")) == 2


def test_a_run_is_continued_without_the_folder(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder, "gone")
    words = ("init_from=hf:gone", "run=tuned", "encoder.dropout=0.25")
    first = loaded(*words)
    write_config(first, Path("runs/tuned/config.yaml"))
    shutil.rmtree("gone")
    again = loaded(*words)
    assert again.plain == first.plain and again.choices == first.choices
    assert diff(stored_config("tuned"), loaded(*words, "encoder.layers=3").plain) == ["encoder.layers: 2 -> 3"]
    monkeypatch.setenv("THERE", "gone")
    assert loaded("init_from=hf:$THERE", *words[1:]).plain == first.plain
    assert "there is no gone/config.json" in mistakes("init_from=hf:gone", "run=another")[0]
    assert "there is no other/config.json" in mistakes("init_from=hf:other", "run=tuned")[0]
