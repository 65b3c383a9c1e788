"""`data.target_prefix` begins every target of a trained run, and is in no output."""

from dataclasses import replace
from pathlib import Path

import pytest
import small_runs
import torch

from seq2seq.analysis.attention.maps import show_attention
from seq2seq.analysis.evaluation.evaluation import evaluate
from seq2seq.config.schema import AlignmentSettings, AttentionMapSettings, TrainSettings, TranslateSettings
from seq2seq.errors import CheckpointError
from seq2seq.inference.scoring import score_texts
from seq2seq.inference.trained_model import TrainedModel, load_trained
from seq2seq.inference.translation import translate
from seq2seq.inference.translator import Translator
from seq2seq.logger.jsonl import read_metrics
from seq2seq.search.greedy import GreedySearch
from seq2seq.training.run import train

PREFIX = "de_DE: "
TEXTS = ["March 5, 2021", "3 kilometers", "", "Monday"]
TARGETS = ["5. März 2021", "3 Kilometer", "Leer", "Montag"]
Run = tuple[TrainedModel, TrainSettings]


def with_prefix(settings: TrainSettings, prefix: str) -> TrainSettings:
    arguments = {**settings.data.arguments, "target_prefix": prefix}
    return replace(settings, data=replace(settings.data, arguments=arguments))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prefix")


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    """A run of a few updates, trained with the prefix; its settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        settings = small_runs.settings("one", "trainer.max_updates=12", f"data.target_prefix='{PREFIX}'")
        train(settings)
        return load_trained("one", settings, "last"), settings


@pytest.fixture(autouse=True)
def in_its_folder(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def plain(run: Run) -> tuple[TrainedModel, TrainSettings]:
    """The same weights without the prefix."""
    settings = with_prefix(run[1], "")
    return load_trained("one", settings, "last"), settings


def test_the_prefix_is_known_to_the_tokenizer_and_the_model(run: Run) -> None:
    trained, _ = run
    assert trained.tokenizer.target.decode([trained.target_start]) == [PREFIX.strip()]
    assert trained.search_model.target_start == trained.target_start
    assert plain(run)[0].target_start == ()


def test_outputs_are_those_after_the_prefix_and_do_not_have_it(run: Run) -> None:
    trained, settings = run
    free, bare = plain(run)
    longer = GreedySearch(max_length=12 + len(trained.target_start), max_length_ratio=9.0)
    whole = Translator(free, bare, longer).translate(TEXTS, prefixes=[PREFIX] * len(TEXTS))
    found = Translator(trained, settings, GreedySearch(max_length=12, max_length_ratio=9.0)).translate(TEXTS)
    assert all(one.text.startswith(PREFIX.strip()) for one in whole)
    assert [one.text.removeprefix(PREFIX.strip()).strip() if text else "" for text, one in
            zip(TEXTS, whole, strict=True)] == [one.text.strip() for one in found]  # fmt: skip
    assert not any(PREFIX.strip() in one.text for one in found)


def test_scores_are_of_what_follows_the_prefix(run: Run) -> None:
    """That of the prefix itself depends on the source alone."""
    trained, settings = run
    free, bare = plain(run)
    sources = ["Monday"] * len(TARGETS)
    after = score_texts(trained, settings, sources, TARGETS)
    whole = score_texts(free, bare, sources, [PREFIX + target for target in TARGETS])
    steps = len(trained.target_start)
    assert [one.tokens + steps for one in after] == [one.tokens for one in whole]
    of_prefix = [one.log_prob - other.log_prob for one, other in zip(whole, after, strict=True)]
    assert of_prefix[0] < -1 and of_prefix == pytest.approx([of_prefix[0]] * len(TARGETS), abs=1e-3)


def test_a_prefix_file_adds_to_it(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    trained, settings = run
    Path("texts").write_text("".join(f"{text}\n" for text in TEXTS))
    Path("begin").write_text("".join(f"{target[:3]}\n" for target in TARGETS))
    script = TranslateSettings(
        **{"run": "one", "checkpoint": "last", "changed": {}, "shortlist": None, "ensemble": [], "engine": None},
        **{"input": "texts", "output": None, "prefix": "begin", "n_best": 1},
    )
    translate(script, settings)
    lines = capsys.readouterr().out.split("\n")[:-1]
    starts = trained.tokenizer.target.decode(trained.tokenizer.target.encode([target[:3] for target in TARGETS]))
    assert all(line.startswith(start.strip()) for line, start in zip(lines, starts, strict=True))
    assert not any(PREFIX.strip() in line for line in lines)


def test_evaluation_scores_outputs_without_it(run: Run) -> None:
    trained, settings = run
    found = evaluate(small_runs.evaluate_settings("one", checkpoint="last"), settings)
    sources = [pair.source for pair in settings.data().read("test")]
    assert list(found.hypotheses) == [one.text for one in Translator(trained, settings).translate(sources)]
    assert any(found.hypotheses) and not any(PREFIX.strip() in text for text in found.hypotheses)


def test_another_run_must_have_the_same(run: Run) -> None:
    settings = with_prefix(run[1], "en: ")
    with pytest.raises(CheckpointError) as caught:
        load_trained("one", settings, "last", ["./runs/one"])
    assert str(caught.value) == (
        f"ensemble=./runs/one has data.target_prefix='{PREFIX}', run=one has 'en: ': they would not read the same "
        "targets"
    )


def test_attention_is_that_of_the_tokens_after_it(run: Run, tmp_path: Path) -> None:
    Path("a.en").write_text("Monday\n")
    Path("a.de").write_text("Montag\n")
    files = {"input": "a.en", "target": "a.de", "gold": None, "reverse": None, "output": str(tmp_path / "maps")}
    given = {"run": "one", "checkpoint": "last", "split": "test", "sentences": 1, "pictures": 0, "page": 1}
    alignment = AlignmentSettings("argmax", layer=None, head=None, shift=False)
    settings = run[1]
    show_attention(AttentionMapSettings(**given, **files, alignment=alignment, changed={}), settings)
    page = (tmp_path / "maps/attention.html").read_text()
    assert "DE" not in page and "▁M" in page


@pytest.mark.slow
@pytest.mark.parametrize("objective", [["objective=minimum_risk", "objective.samples=2"],
                                       ["objective=distillation", "teacher=one"]])  # fmt: skip
def test_objectives_learn_what_follows_the_prefix(run: Run, objective: list[str]) -> None:
    name = objective[0].partition("=")[2]
    words = ["init_from=one"] if name == "minimum_risk" else []
    settings = small_runs.settings(name, f"data.target_prefix='{PREFIX}'", *objective, *words, "trainer.max_updates=4")
    train(settings)
    values = [line for line in read_metrics(Path(f"runs/{name}/metrics.jsonl")) if "valid/nll" in line]
    assert values and all(torch.tensor(line["valid/nll"]).isfinite() for line in values)
