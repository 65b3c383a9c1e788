"""The values of a preset below what was typed: chosen once, printed in a line, and never in the way."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from seq2seq.config import CONFIGS, Script, write_config
from seq2seq.config.command_line.check import check
from seq2seq.config.command_line.choice_files import Library
from seq2seq.config.command_line.preset import preset_values, preset_words, with_preset
from seq2seq.config.composition import Composition
from seq2seq.config.presets import ENDS, TextSize
from seq2seq.config.problems import Mistakes
from seq2seq.config.schema import TrainSettings

LIBRARY = Library(CONFIGS, "train")
TEXT = tuple(f"data.{split}.{side}={side}" for split in ("train", "valid") for side in ("source", "target"))
FILES = ("data=files", *TEXT)
KINDS = {
    "recurrent": ("encoder=gru", "decoder=lstm"),
    "transformer": ("encoder=transformer", "decoder=transformer", "attention=multihead"),
}
Start = Callable[..., TrainSettings]


@cache
def composed(*words: str) -> Composition:
    return check(Script("train", TrainSettings, run=print), [*FILES, *words])[1]


@cache
def loaded(*words: str) -> TrainSettings:
    settings: TrainSettings = Script("train", TrainSettings, run=print).load(composed(*words))
    return settings


def never(settings: TrainSettings) -> TextSize:
    raise AssertionError("the training text must not be read")


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Start:
    """Starts a training of 29,000 pairs, or of what `size_of` says, and returns the settings that it gets."""
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO, "seq2seq")

    def started(
        *words: str, size_of: Callable[[TrainSettings], TextSize] = lambda _: TextSize(29_000, 667_000)
    ) -> TrainSettings:
        seen: list[TrainSettings] = []
        checks = ("seq2seq.training.preflight:check",)
        script = Script("train", TrainSettings, run=seen.append, checks=checks, size_of=size_of)
        script.start(check(script, words)[1])
        return seen[0]

    return started


def test_preset_of_the_text_is_chosen_and_logged_in_a_line(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    settings = start(*FILES, "decoder.dropout=0.15", "trainer.max_minutes=10")
    values = preset_values(composed(), LIBRARY, "small")
    laid = {key: value for key, value in values.items() if key not in ("decoder.dropout", *ENDS)}
    words = " ".join(f"{key}={json.dumps(value)}" for key, value in laid.items())
    assert caplog.messages == [f"preset=small for 29,000 pairs, 667,000 words: {words}; preset=none turns it off"]
    assert (settings.choices["preset"], settings.preset) == ("small", laid)
    assert settings.encoder.arguments["dropout"] == values["encoder.dropout"]
    assert settings.decoder.arguments["dropout"] == 0.15
    assert settings.trainer.patience is None


def test_line_has_no_value_without_an_effect(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    settings = start(*FILES, "tokenizer.vocab_size=800")
    assert settings.preset["tokenizer.auto_size"] == 4000  # part of the run's name
    assert "embedding.dropout=0.2" in caplog.text
    assert "auto_size" not in caplog.text


@pytest.mark.parametrize(
    "words", [(), ("data=cldr",), (*FILES, "preset=none"), (*FILES, "experiment=multi30k/attention")]
)
def test_no_preset(start: Start, caplog: pytest.LogCaptureFixture, words: Sequence[str]) -> None:
    settings = start(*words, size_of=never)
    assert (settings.choices["preset"], dict(settings.preset), caplog.messages) == ("none", {}, [])


def test_embedded_data_has_a_preset_if_it_is_typed(start: Start) -> None:
    assert start("preset=auto").choices["preset"] == "small"
    assert start("preset=large", size_of=never).embedding.size == 512


@pytest.mark.parametrize(("preset", "kind"), [("small", "recurrent"), ("large", "transformer")])
def test_nothing_typed_is_overridden(preset: str, kind: str) -> None:
    words = (*KINDS[kind], f"preset={preset}")
    values = preset_values(composed(*words), LIBRARY, preset)
    assert len(values) > 10
    for key in values:
        typed = composed(*words).with_values([f"{key}=7"])
        laid = with_preset(typed, LIBRARY, lambda _: loaded(*words), never)
        others = values.keys() - {key} - (set(ENDS) if key in ENDS else set())
        assert laid.preset == {other: values[other] for other in values if other in others}
        assert laid.with_values([f"{key}=7"]).config == laid.config


def test_all_mistakes_are_reported_before_text_is_read(start: Start) -> None:
    with pytest.raises(Mistakes) as error:
        start("data=files", *TEXT[1:], "encoder.dropout=2", size_of=never)
    assert len(error.value.lines) == 2
    with pytest.raises(Mistakes, match="preset=small: experiment=multi30k/attention has its own values; leave out one"):
        start("preset=small", "experiment=multi30k/attention")


def test_sizes_that_do_not_go_with_what_was_typed_are_left_out(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """With a memory of 256 a dot product needs a decoder of 256; the preset has 512."""
    settings = start(*FILES, "preset=medium", "attention=luong_dot", "encoder.bidirectional=false")
    assert settings.decoder.arguments["hidden_size"] == 256
    assert settings.preset["decoder.dropout"] == 0.2
    assert "(its sizes do not go with what was typed); preset=none" in caplog.text


@pytest.mark.parametrize("side", ["source", "target"])
def test_width_of_word_vectors_is_not_set(start: Start, caplog: pytest.LogCaptureFixture, side: str) -> None:
    words = (*FILES, "preset=large", f"embedding.{side}_vectors=v.txt")
    settings = start(*words, size_of=never)
    assert (settings.embedding.size, settings.encoder.arguments["hidden_size"]) == (256, 512)
    settings = start(*words, *KINDS["transformer"], size_of=never)
    assert settings.embedding.size == 256
    assert start(*words, "embedding.size=300", size_of=never).embedding.size == 300


def test_continued_run_does_not_choose_again(start: Start) -> None:
    first = start(*FILES, "run=one")
    values = {**first.preset, "decoder.dropout": 0.45}  # of a preset that has changed since
    write_config(replace(first, preset=values), Path("runs/one/config.yaml"))
    for words in ((), ("preset=auto",), ("preset=small",)):
        again = start(*FILES, "run=one", *words, size_of=never)
        assert (again.choices["preset"], again.preset) == ("small", values)
        assert again.decoder.arguments["dropout"] == 0.45
    assert start(*FILES, "run=one", "preset=tiny", size_of=never).choices["preset"] == "tiny"
    assert "encoder.dropout" not in start(*FILES, "run=one", "encoder.dropout=0.1", size_of=never).preset


def test_older_run_keeps_having_no_preset(start: Start) -> None:
    old = start(*FILES, "preset=none")
    choices = {group: choice for group, choice in old.choices.items() if group != "preset"}
    write_config(replace(old, choices=choices), Path("runs", old.run, "config.yaml"))
    assert start(*FILES, size_of=never).run == old.run
    write_config(old, Path("runs", old.run, "config.yaml"))
    assert start(*FILES).run != old.run  # that run has the command preset=none


OTHER = {
    "init_from": ("init_from=one",),
    "teacher": ("objective=distillation", "teacher=one"),
    "teachers": ("objective=distillation", "teacher=[one,another]"),
}


@pytest.mark.parametrize("key", OTHER)
@pytest.mark.parametrize("data", [FILES, ("data=table", "data.train=t.csv", "data.valid=v.csv")])
def test_run_that_reuses_a_tokenizer_has_the_preset_of_the_other_run(
    start: Start, caplog: pytest.LogCaptureFixture, key: str, data: Sequence[str]
) -> None:
    first = start(*FILES, "run=one", size_of=lambda _: TextSize(5_000, 50_000))
    values = {**first.preset, "decoder.dropout": 0.45, "tokenizer.auto_size": 900}  # of a preset that has changed since
    write_config(replace(first, preset=values), Path("runs/one/config.yaml"))
    caplog.clear()
    new = start(*data, "run=two", *OTHER[key], "encoder.dropout=0.1", size_of=never)
    expected = {key: value for key, value in values.items() if key != "encoder.dropout"}
    assert (new.choices["preset"], new.preset) == ("tiny", expected)
    assert new.tokenizer.arguments["auto_size"] == 900
    assert caplog.messages[-1].startswith(
        "preset=tiny as run one: embedding.dropout=0.3 trainer.patience=5 tokenizer.auto"
    )
    assert start(*data, "run=two", *OTHER[key], "preset=none").preset == {}
    assert start(*data, "run=two", *OTHER[key], "preset=small", size_of=never).preset["tokenizer.auto_size"] == 4000


def test_values_for_other_parts_than_the_other_run_has_are_those_of_the_file(start: Start) -> None:
    first = start(*FILES, "run=one", size_of=lambda _: TextSize(5_000, 50_000))
    values = {**first.preset, "decoder.dropout": 0.45, "tokenizer.auto_size": 900, "trainer.patience": 4}
    write_config(replace(first, preset=values), Path("runs/one/config.yaml"))
    new = start(*FILES, *KINDS["transformer"], *OTHER["teacher"], size_of=never).preset
    assert new["optimizer.lr"] == 1e-3
    assert new["encoder.inner_size"] == 512
    assert (new["tokenizer.auto_size"], new["trainer.patience"], new["decoder.dropout"]) == (900, 4, 0.45)


@pytest.mark.parametrize("key", OTHER)
def test_run_that_reuses_the_tokenizer_of_a_run_without_a_preset_has_none(start: Start, key: str) -> None:
    old = start(*FILES, "run=one", "preset=none")
    assert start(*FILES, *OTHER[key], size_of=never).preset == {}  # there is no run yet, which is reported later
    for choices in (old.choices, {group: choice for group, choice in old.choices.items() if group != "preset"}):
        write_config(replace(old, choices=choices), Path("runs/one/config.yaml"))
        new = start(*FILES, *OTHER[key], size_of=never)
        assert (new.choices["preset"], new.preset) == ("none", {})


def test_printed_configuration_reads_no_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "seq2seq")
    assert preset_words(composed(), LIBRARY) == []
    assert caplog.messages == [
        "preset=auto chooses when the training starts; to see a preset's values here, type its name"
    ]
    words = preset_words(composed("preset=tiny", "encoder.dropout=0.1"), LIBRARY)
    assert "decoder.dropout=0.3" in words
    assert not [word for word in words if word.startswith("encoder.dropout")]


def test_unknown_key_in_a_preset_of_the_users_own(start: Start, tmp_path: Path) -> None:
    (tmp_path / "preset").mkdir()
    (tmp_path / "preset/mine.yaml").write_text("encoder=lstm:\n  encoder.hiden: 3\n")
    script = Script("train", TrainSettings, run=print, size_of=never, own=tmp_path)
    with pytest.raises(Mistakes, match=r"preset/mine\.yaml: encoder\.hiden: no such key with these choices"):
        script.start(check(script, [*FILES, "preset=mine"])[1])


def test_a_file_of_the_users_own_is_not_overridden(start: Start, tmp_path: Path) -> None:
    sentencepiece = "_target_: seq2seq.tokenizer.sentencepiece.SentencePiece\n_partial_: true\n"
    files = {
        "trainer/mine": "defaults: [default]\nmax_updates: 3\npatience: 9\n",
        "tokenizer/plain": f"{sentencepiece}model_type: bpe\n",
        "preset/own": "trainer=mine:\n  trainer.patience: 2\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.yaml").write_text(text)
    script = Script("train", TrainSettings, run=print, own=tmp_path)
    words = [*FILES, "trainer=mine", "tokenizer=plain", "metrics=summarization"]
    for preset in ("tiny", "large"):
        values = preset_values(check(script, [*words, f"preset={preset}"])[1], script.library, preset)
        assert {key.split(".")[0] for key in values} == {"embedding", "encoder", "decoder", "optimizer", "schedule"}
    assert preset_values(check(script, [*words, "preset=own"])[1], script.library, "own") == {"trainer.patience": 2}
