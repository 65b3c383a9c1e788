"""The command as a whole on tiny runs: its files, resuming, its errors."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_runs

from seq2seq.commands.augment import SCRIPT as AUGMENT
from seq2seq.commands.train import SCRIPT as TRAIN_SCRIPT
from seq2seq.config import CONFIGS
from seq2seq.config.command_line.check import check
from seq2seq.config.command_line.own_folder import own_folder
from seq2seq.config.problems import Mistakes
from seq2seq.data.files import ParallelFiles
from seq2seq.errors import ConfigError, DataError
from seq2seq.inference.augmentation import corpus, given, outputs
from seq2seq.inference.augmentation.augmentation import augment
from seq2seq.training.run import train
from seq2seq.types import Pair

TRAIN = 40  # pairs
RUNS = {"one": [], "two": ["seed=2"]}
WORDS = [f"data.train={TRAIN}", "trainer.max_updates=8", "tokenizer.vocab_size=470"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trained runs with the same data and vocabulary, and a file of texts."""
    made = tmp_path_factory.mktemp("augmentation")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        for name, words in RUNS.items():
            train(small_runs.settings(name, *WORDS, *words))
    (made / "texts").write_text("12 January\n\na kilometre\nthe day after tomorrow\n12 January\n")
    return made


@pytest.fixture(autouse=True)
def here(
    folder: Path, without_shape_checks: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In that folder, with parts of 16 texts."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(given, "CHUNK", 16)
    caplog.set_level(logging.INFO)


def written(*words: str) -> None:
    """The command with these words."""
    named = words if any(word.startswith("run=") for word in words) else ("run=one", *words)
    augment(*AUGMENT.load(check(AUGMENT, named)[1]))


def lines(path: str) -> list[str]:
    return Path(path).read_bytes().decode().split("\n")[:-1]


def pairs(name: str, split: str = "train") -> list[tuple[str, str]]:
    return list(zip(lines(f"{name}/{split}.source"), lines(f"{name}/{split}.target"), strict=True))


def content(name: str) -> dict[str, bytes]:
    """Every file of a folder."""
    return {str(path.relative_to(name)): path.read_bytes() for path in Path(name).rglob("*") if path.is_file()}


def split_of_run(split: str) -> list[tuple[str, str]]:
    data = small_runs.settings("one", *WORDS).data()
    return [(pair.source, pair.target) for pair in data.read(split)]


def report(name: str) -> dict[str, Any]:
    return json.loads(Path(name, "corpus.json").read_text())


def test_a_corpus_has_the_original_pairs_and_then_the_new_ones() -> None:
    written("output=forward", "drop_copies=false")
    found, original = pairs("forward"), split_of_run("train")
    assert found[:TRAIN] == original
    new = found[TRAIN:]
    assert new
    assert {source for source, _ in new} <= {source for source, _ in original}
    assert len(set(new)) == len(new)
    assert not set(new) & set(original)
    counts = report("forward")
    assert (counts["original"], counts["new"], counts["texts"]) == (TRAIN, len(new), TRAIN)
    assert len(new) + sum(counts["left_out"].values()) == TRAIN
    assert pairs("forward", "valid") == split_of_run("valid")
    assert len(content("forward/outputs")) == 3


def test_a_backward_run_writes_the_sources() -> None:
    """The same outputs, with the sides swapped; and the other splits swapped too."""
    written("output=here", "originals=false", "drop_copies=false", "drop_duplicates=false")
    written("output=back", "originals=false", "drop_copies=false", "drop_duplicates=false", "direction=backward")
    assert pairs("back") == [(output, text) for text, output in pairs("here")]
    assert pairs("back", "test") == [(target, source) for source, target in split_of_run("test")]


def test_the_tag_is_before_new_sources_only(caplog: pytest.LogCaptureFixture) -> None:
    written("output=tagged", "tag=<bt>", "direction=backward", "input=texts", "drop_duplicates=false")
    found = pairs("tagged")
    assert found[:TRAIN] == [(target, source) for source, target in split_of_run("train")]
    assert all(source.startswith("<bt> ") for source, _ in found[TRAIN:])
    assert {target for _, target in found[TRAIN:]} <= set(lines("texts")) - {""}
    words = """--config-dir tagged data=augmented 'tokenizer.symbols=["<bt>"]'"""
    assert caplog.messages[-1] == f"to train on it: python scripts/train.py {words}"


def test_filters_change_without_translating_again(monkeypatch: pytest.MonkeyPatch) -> None:
    written("output=filtered", "n_best=3", "search=beam", "search.beam_size=3", "search.max_length=8")
    before = content("filtered/outputs")
    monkeypatch.setattr(outputs, "decode", None)
    written(
        "output=filtered", "n_best=3", "search=beam", "search.beam_size=3", "search.max_length=8", "min_score=-1e-9"
    )
    assert pairs("filtered") == split_of_run("train")
    assert report("filtered")["left_out"]["below min_score"] > 0
    assert content("filtered/outputs") == before


def test_several_samples_per_text() -> None:
    words = ["search=sampling", "search.samples=3", "search.max_length=9", "n_best=3"]
    written("output=samples", *words, "drop_copies=false", "originals=false")
    assert report("samples")["new"] + sum(report("samples")["left_out"].values()) == 3 * TRAIN


def test_outputs_of_several_runs_are_merged() -> None:
    written("output=a", "drop_copies=false", "tag=<a>")
    written("run=two", "output=b", "drop_copies=false")
    written("output=all", "direction=backward", "drop_copies=false", "merge=[a,b]")
    found = pairs("all")
    new = [pairs(name)[TRAIN:] for name in ("a", "b")]
    assert found[:TRAIN] == [(target, source) for source, target in split_of_run("train")]
    bare = [(source.removeprefix("<a> "), target) for source, target in found]
    assert len(set(bare[TRAIN:])) == len(bare) - TRAIN
    assert found[TRAIN : TRAIN + len(new[0])] == new[0]
    assert set(new[1]) <= set(bare)
    assert report("all")["merged"] + report("all")["new"] == len(found) - TRAIN


class Killed(BaseException):
    """The process ends here."""


KILLED = ["output=killed", "search=sampling", "search.max_length=9", "tag=<bt>"]
KILLS: list[tuple[Any, str, int]] = [
    (outputs, "decode", 1),
    (outputs, "decode", 3),
    (outputs, "replace_file", 2),
    (corpus, "replace_file", 1),
    (corpus, "replace_file", 2),
    (corpus, "parallel_writer", 1),
    (corpus, "parallel_writer", 2),
    (corpus, "one_line", 50),
]


@pytest.fixture(scope="module")
def whole(folder: Path) -> dict[str, bytes]:
    """The files of an uninterrupted command; its folder is removed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(given, "CHUNK", 16)
        written(*KILLED)
        found = content("killed")
        shutil.rmtree("killed")
    return found


@pytest.mark.parametrize(("module", "name", "call"), KILLS)
def test_a_command_that_was_killed_continues_to_the_same_bytes(
    module: Any, name: str, call: int, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, name, killing(getattr(module, name), call))
        with pytest.raises(Killed):
            written(*KILLED)
    Path("killed/.tmp-left").write_text("half")
    assert content("killed") != whole
    written(*KILLED)
    assert content("killed") == whole
    shutil.rmtree("killed")


def killing(function: Callable[..., Any], last: int) -> Callable[..., Any]:
    """The function, until its call number `last`."""
    calls: Iterator[int] = iter(range(1, last))

    def called(*args: Any, **kwargs: Any) -> Any:
        if next(calls, None) is None:
            raise Killed
        return function(*args, **kwargs)

    return called


def test_what_is_translated_is_not_translated_again(monkeypatch: pytest.MonkeyPatch) -> None:
    decode, calls = outputs.decode, []
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(outputs, "decode", killing(decode, 3))
        written("output=stopped")
    monkeypatch.setattr(outputs, "decode", lambda *args, **keys: calls.append(1) or decode(*args, **keys))
    written("output=stopped")
    assert len(calls) == 1  # of three parts


def test_the_folder_is_a_choice_of_data() -> None:
    written("output=choice", "tag=<bt>")
    script = replace(TRAIN_SCRIPT, own=own_folder("choice", CONFIGS))
    words = ["data=augmented", "experiment=multi30k/student", 'tokenizer.symbols=["<bt>"]']
    settings = script.load(check(script, words)[1])
    data = settings.data()
    assert isinstance(data, ParallelFiles)
    assert [(pair.source, pair.target) for pair in data.read("train")] == pairs("choice")
    assert [(pair.source, pair.target) for pair in data.read("test")] == split_of_run("test")
    assert (data.source_language, data.target_language) == ("en", "de")
    assert settings.tokenizer.arguments["symbols"] == ["<bt>"]


@pytest.mark.parametrize("word", ["search.max_length=11", "checkpoint=last", "input=texts", "search=beam"])
def test_a_folder_of_other_settings_is_not_continued(word: str) -> None:
    if not Path("kept").exists():
        written("output=kept", "checkpoint=step-4")
    before = content("kept")
    words = [word] if word.startswith("checkpoint") else [word, "checkpoint=step-4"]
    with pytest.raises(ConfigError) as error:
        written("output=kept", *words)
    message = str(error.value).split("\n")
    assert message[0] == "output=kept was made with other settings (then -> now):"
    assert any(" -> " in line for line in message[1:-1])
    assert message[-1] == "Use its own settings to continue it, or write another one: output=FOLDER."
    assert content("kept") == before


def test_the_diff_names_the_key() -> None:
    written("output=differs")
    with pytest.raises(ConfigError, match=r"\n  search.max_length: 12 -> 11\nUse its own"):
        written("output=differs", "search.max_length=11")


@pytest.mark.parametrize(
    ("made", "word", "line"),
    [
        ([], "data.source_prefix='<2en> '", "data.source_prefix: '' -> '<2en> '"),
        ([], "data.target_prefix='<2de> '", "data.target_prefix: '' -> '<2de> '"),
        (["checkpoint=average", "trainer.average=1"], "trainer.average=2", "trainer.average: 1 -> 2"),
        (["checkpoint=average-best", "trainer.average=1"], "trainer.average=2", "trainer.average: 1 -> 2"),
    ],
)
def test_a_folder_of_another_prefix_or_mean_is_not_continued(made: list[str], word: str, line: str) -> None:
    output = f"output=of_{word.partition('=')[0]}_{len(made) and made[0].partition('=')[2]}"
    written(output, *made)
    kept = [one for one in made if one.partition("=")[0] != word.partition("=")[0]]
    with pytest.raises(ConfigError) as error:
        written(output, *kept, word)
    assert f"  {line}" in str(error.value).split("\n")
    written(output, *made)


def test_a_mean_is_known_by_each_of_its_checkpoints() -> None:
    written("output=mean", "checkpoint=average", "trainer.average=2")
    settings = json.loads(Path("mean/outputs.json").read_text())
    assert list(settings["weights"]) == ["step-4", "step-8"]


@pytest.mark.parametrize("lacking", [["target_prefix"], ["source_prefix", "target_prefix"]])
def test_a_folder_of_a_version_that_stored_no_prefix_is_continued(lacking: list[str]) -> None:
    older = f"older_{len(lacking)}"
    written(f"output={older}")
    path = Path(f"{older}/outputs.json")
    settings = json.loads(path.read_text())
    settings["data"] = {key: value for key, value in settings["data"].items() if key not in lacking}
    if not settings["data"]:
        del settings["data"]
    path.write_text(json.dumps(settings))
    parts = {part: part.stat().st_mtime_ns for part in Path(f"{older}/outputs").iterdir()}
    written(f"output={older}", "min_score=-9")
    assert {part: part.stat().st_mtime_ns for part in Path(f"{older}/outputs").iterdir()} == parts
    assert parts


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["n_best=5"], "n_best=5: search=greedy finds at most 1 per line; take search=beam"),
        (["keep=nearest"], "keep=nearest: there is only one output to choose from; give n_best=5"),
        (["keep=nearest", "input=texts"], "keep=nearest: input=texts has no targets to compare with; give split=NAME"),
        (["keep=best"], "keep=best: there is only one output to choose from; give n_best=5"),
        (["input=-"], "input=- is not supported: give input=/dev/stdin to read standard input"),
        (["input=texts", "split=valid"], "split=valid: input=texts is translated instead; leave out one of the two"),
        (["metric=bleu"], "metric=bleu: only keep=nearest compares outputs; give keep=nearest as well"),
        (["merge=[nowhere]"], "merge=nowhere: there is no corpus .nowhere/corpus.json.; let its own command finish"),
        (["merge=[wrong]"], "merge=wrong is the output itself: name other folders"),
    ],
)
def test_wrong_settings(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        written("output=wrong", *words)
    assert not Path("wrong").exists()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("tag=<b t>", "expected text without spaces or line breaks, such as <bt>, or '' for none, got '<b t>'"),
        ("min_score=1.0", "expected 0 or less, got 1.0"),
        ("max_ratio=0.5", "expected 1 or more, got 0.5"),
        ("n_best=0", "expected 1 or more, got 0"),
    ],
)
def test_values_beyond_their_limits(word: str, message: str) -> None:
    with pytest.raises(Mistakes) as error:
        written("output=wrong", word)
    assert f"{word}: {message}" in str(error.value)


def test_the_folder_must_be_given() -> None:
    with pytest.raises(Mistakes) as error:
        written("n_best=2")
    assert error.value.lines == ("output=FOLDER: must be given",)


BOTH = ["data=files", *(f"data.{split}.{side}=texts" for split in ("train", "valid") for side in ("source", "target"))]
TAGS = "data.both_directions=['<2en>','<2de>']"


def test_backward_with_both_directions_is_refused() -> None:
    with pytest.raises(ConfigError) as error:
        written("output=wrong", "direction=backward", *BOTH, TAGS)
    advice = "data.both_directions=null data.source_prefix='<2en> '"
    assert str(error.value) == f"direction=backward: the data of run=one has both directions; choose one: {advice}"
    written("output=both", *BOTH, TAGS)


@pytest.mark.parametrize(
    ("references", "direction", "warned"), [((1, 2), "forward", 1), ((1, 2), "backward", 0), ((2, 2), "forward", 0)]
)
def test_a_warning_only_where_the_numbers_of_references_differ(
    references: tuple[int, int], direction: str, warned: int, caplog: pytest.LogCaptureFixture
) -> None:
    script, settings = AUGMENT.load(check(AUGMENT, ["run=one", "output=split", f"direction={direction}"])[1])
    data = settings.data()
    data.read = lambda split: [Pair("a", "b", ("r",) * count) for count in references]
    Path("split").mkdir(exist_ok=True)
    corpus.Corpus(Path("split"), script, settings, data)._write_split("valid")
    assert sum("the numbers of references differ" in message for message in caplog.messages) == warned


@pytest.mark.parametrize(("preset", "words"), [("none", []), ("tiny", ["preset=auto"]), ("auto", ["preset=auto"])])
def test_the_command_has_a_preset_if_the_run_had_one(preset: str, words: list[str]) -> None:
    script, settings = AUGMENT.load(check(AUGMENT, ["run=one", "output=a"])[1])
    chosen = replace(settings, choices={**settings.choices, "preset": preset})
    found = corpus.Corpus(Path("a"), script, chosen, chosen.data()).arguments()
    assert found == ["--config-dir", "a", "data=augmented", *words]


def test_a_corpus_without_new_pairs_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    written("output=no_new", "min_score=-1e-12")
    count = report("no_new")["left_out"]["below min_score"]
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert f"no new pair: {count} of {TRAIN} outputs were below min_score (min_score=null keeps them)" in warnings
    caplog.clear()
    written("output=no_new", "drop_copies=false", "drop_duplicates=false")
    assert not [message for message in caplog.messages if message.startswith("no new pair")]


def test_other_files_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "train.source").write_text("mine\n")
    with pytest.raises(ConfigError, match="has files that this command did not write: name a new folder"):
        written(f"output={tmp_path}")
    with pytest.raises(ConfigError, match=r"train.source is a file: name a folder"):
        written(f"output={tmp_path}/train.source")
    assert (tmp_path / "train.source").read_text() == "mine\n"


def test_bad_input_is_reported_before_anything_is_translated(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"eins\n\xff\n")
    (tmp_path / "empty").write_bytes(b"")
    for name, message in (("bad", "bad, line 2: byte 1"), ("empty", "has no text; give a file with one text per line")):
        with pytest.raises(DataError, match=message):
            written("output=never", f"input={tmp_path / name}")
    with pytest.raises(DataError, match="there is no split 'tain': did you mean 'train'"):
        written("output=never", "split=tain")
    assert not Path("never").exists()


def test_a_damaged_part_is_reported_and_can_be_deleted() -> None:
    written("output=damaged")
    before, part = content("damaged"), Path("damaged/outputs/000001.jsonl")
    part.write_bytes(part.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"000001.jsonl is damaged: delete it and give the same command again"):
        written("output=damaged")
    part.unlink()
    written("output=damaged")
    assert content("damaged") == before


def test_a_corpus_without_pairs_is_reported() -> None:
    with pytest.raises(DataError, match="no pair is left: change the filters"):
        written("output=none", "originals=false", "min_score=-1e-12")


def test_sources_that_are_too_long_are_not_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("long").write_text("12 January\n" + "12 January " * 300 + "\n")
    written("output=long_texts", "input=long", "drop_copies=false", "originals=false")
    assert report("long_texts")["left_out"]["longer than length.max_source"] == 1
    assert report("long_texts")["texts"] == 2
