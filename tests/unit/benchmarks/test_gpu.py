"""The GPU benchmark, tested on a CPU: its parts at tiny sizes, and parts that are skipped or fail."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TINY = "data.train=300 data.valid=12 data.test=12 tokenizer.vocab_size=600 trainer.tokens_per_update=500"
TINY += " trainer.log_every=1 search=greedy search.max_length=8 trainer.probes=0"


@pytest.fixture(autouse=True)
def in_benchmarks(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One folder for all tests of this file, so that they share its cache; no corpora."""
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    monkeypatch.delenv("SEQ2SEQ_DATA", raising=False)
    folder = tmp_path_factory.getbasetemp() / "benchmarks-gpu"
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)


@pytest.fixture
def session(tmp_path: Path) -> Callable[..., Any]:
    """Makes a session with this many seconds left, by default of a dry run."""

    def made(*words: str, seconds: float = 100, dry: bool = True) -> Any:
        import gpu
        from gpu_session import Session

        dry_words = ["--device", "cpu", "--precision", "fp32", "--data", "cldr", "--threads", "1"] if dry else []
        return Session(gpu.parse([*dry_words, *words]), tmp_path, time.monotonic() + seconds)

    return made


@pytest.fixture
def part() -> Callable[..., Any]:
    """Makes a part from a function of the session."""

    def made(run: Callable[[Any], Any], **more: Any) -> Any:
        from gpu_session import Part

        return Part("x", "Title", "a target", run, **{"seconds": 10.0, "overhead": 1.0, **more})

    return made


def test_missing_gpu_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import gpu

    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["gpu.py", "--json", "none.json"])
    assert gpu.main() == 2
    output = capsys.readouterr()
    assert output.err == "This needs a CUDA device, and torch sees none here; --device cpu makes a dry run.\n"
    assert output.out == ""
    assert not Path("none.json").exists()


def test_unknown_parts_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    import gpu

    assert gpu.parse(["--parts", "e,a"]).parts == ["e", "a"]
    with pytest.raises(SystemExit):
        gpu.parse(["--parts", "a,f"])
    assert "argument --parts: unknown: f; there are a, b, c, d, e" in capsys.readouterr().err


def test_all_parts_are_expected_to_fit_into_nine_minutes(session: Callable[..., Any]) -> None:
    import gpu

    whole = session(dry=False)
    assert whole.options.parts == list("abcde")
    assert sum(one.expected(whole) for one in gpu.PARTS.values()) < 60 * whole.options.minutes == 540


def test_a_part_that_does_not_fit_is_skipped(
    session: Callable[..., Any], part: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    import gpu

    never = part(lambda session: pytest.fail("it was run"), seconds=300.0)
    found = gpu.attempt(never, session(seconds=100.5))
    assert (found["status"], found["why"]) == ("skipped", "it takes about 301 s, and 100 s are left")
    assert capsys.readouterr().err == "Part x is skipped: it takes about 301 s, and 100 s are left\n"
    assert gpu.line(found)[1] == "skipped: it takes about 301 s, and 100 s are left"
    assert gpu.obstacle(never, session("--share", "0.3", seconds=100)) == ""


def test_a_part_without_its_corpus_or_its_model_is_skipped(
    session: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gpu

    decoding = gpu.PARTS["e"]
    assert gpu.obstacle(decoding, session()) == "SEQ2SEQ_DATA names no folder with tatoeba-de-en"
    monkeypatch.setenv("SEQ2SEQ_DATA", str(tmp_path))
    (tmp_path / "tatoeba-de-en").mkdir()
    assert gpu.obstacle(decoding, session()) == "there is no model to decode with, which part d leaves"
    (tmp_path / "tatoeba").mkdir()
    (tmp_path / "tatoeba/test.npz").touch()
    assert gpu.obstacle(decoding, session()) == ""


def test_failed_part_is_reported_by_its_last_line(
    session: Callable[..., Any], part: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    import gpu

    def failing(session: Any) -> None:
        raise ValueError("a long story\nand its end")

    found = gpu.attempt(part(failing), session())
    assert (found["status"], found["why"], found["figures"]) == ("failed", "and its end", [])
    assert found["wall_seconds"] >= 0
    assert capsys.readouterr().err == "Part x failed: and its end\n"


@pytest.mark.parametrize(
    ("words", "met", "shown"), [("", True, "yes"), ("--share 0.5", None, "–"), ("--width 8", None, "–")]
)
def test_a_dry_run_meets_no_target(
    session: Callable[..., Any], part: Callable[..., Any], words: str, met: bool | None, shown: str
) -> None:
    import gpu
    from gpu_session import Outcome

    figures = [{"turns": [{"peak_gpu_mib": 10.0}, {"peak_gpu_mib": 2048.4}]}]
    found = gpu.attempt(part(lambda session: Outcome(figures, "2 s", True)), session(*words.split(), dry=False))
    assert (found["status"], found["met"], found["figures"]) == ("done", met, figures)
    assert gpu.line(found) == ["x. Title", "2 s", "a target", shown, "2,048", "0"]


def test_other_parts_continue_and_json_is_written_after_each(
    part: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import gpu
    from gpu_session import Outcome

    seen: list[list[str]] = []

    def look(session: Any) -> Any:
        written = json.loads(Path("parts.json").read_text())
        seen.append([one["status"] for one in written["figures"]])
        return Outcome([], "looked")

    def failing(session: Any) -> None:
        raise MemoryError("none left")

    monkeypatch.setattr(gpu, "PARTS", {"a": part(look), "b": part(failing), "c": part(look)})
    words = ["--device", "cpu", "--minutes", "1", "--parts", "a,b,c", "--json", "parts.json"]
    monkeypatch.setattr("sys.argv", ["gpu.py", *words])
    assert gpu.main() == 1
    assert seen == [[], ["done", "failed"]]
    written = json.loads(Path("parts.json").read_text())
    assert [one["status"] for one in written["figures"]] == ["done", "failed", "done"]
    assert written["gpu"] is None
    assert {"where", "load", "versions", "options"} <= written.keys()
    rows = [row for row in capsys.readouterr().out.split("\n") if row.startswith("| x.")]
    assert [row.split("|")[2].strip() for row in rows] == ["looked", "failed: MemoryError: none left", "looked"]


@pytest.mark.parametrize(
    ("scores", "minutes"), [([1, 30, 41.8, 42, 41.9], 3), ([1, 30, 42], None), ([5], None), ([7, 7.2], 1)]
)
def test_plateau_begins_where_gains_are_small(scores: list[float], minutes: float | None) -> None:
    from gpu_recipes import plateau

    curve = [{"minutes": number, "valid/bleu": score} for number, score in enumerate(scores, start=1)]
    assert plateau(curve) == minutes


@pytest.mark.parametrize(
    ("update", "validation", "updates", "warmup"),
    [(0.008, 1.0, 5600, 400), (0.1, 4.05, 475, 33), (100.0, 1.0, 2, 0), (0.1, 500.0, 2, 0)],
)
def test_a_recipe_has_as_many_updates_as_fit(update: float, validation: float, updates: int, warmup: int) -> None:
    import our_recipe

    from seq2seq.config import effective_settings

    settings = our_recipe.composed(["experiment=multi30k/transformer_gpu"])
    words = our_recipe.fitting(settings, our_recipe.Pace(update, validation), 60)
    fitted = our_recipe.composed(["experiment=multi30k/transformer_gpu", *words])
    assert (fitted.trainer.max_updates, fitted.schedule.arguments["warmup"]) == (updates, warmup)
    assert fitted.trainer.max_minutes == pytest.approx(max(60 - validation, 12) / 60)
    assert effective_settings(fitted, None).schedule().horizon == updates  # the learning rate has decayed by then
    if updates > 2:
        assert updates * update + updates / 800 * validation < 60


@pytest.mark.parametrize("experiment", ["multi30k/transformer_gpu", "tatoeba/transformer_gpu"])
@pytest.mark.parametrize("width", [None, 32])
def test_recipes_are_legal_at_full_and_reduced_width(experiment: str, width: int | None) -> None:
    from gpu_recipes import narrowed

    from seq2seq.config import CONFIGS, compose, load_train
    from seq2seq.training.preflight import check

    words = [f"experiment={experiment}", "device=cpu", "trainer.cuda_graphs=false", *narrowed(width)]
    settings = load_train(compose(CONFIGS, "train", words), checks=[check])
    assert settings.precision == "bf16"
    if width is not None:
        sizes = [settings.embedding.size, settings.encoder.arguments["hidden_size"]]
        assert [*sizes, settings.decoder.arguments["inner_size"]] == [32, 32, 128]


@pytest.mark.slow
def test_training_of_the_transformer_and_of_the_lstms(session: Callable[..., Any]) -> None:
    import gpu_throughput

    tiny = session("--width", "8", "--share", "0.001", "--words", TINY)
    outcome = gpu_throughput.train_transformer(tiny)
    [figures] = outcome.figures
    assert outcome.failure == ""
    assert [turn["updates"] for turn in figures["turns"]] == [1, 1, 1]
    assert 0 <= figures["padding"] < 0.3
    assert 1 <= figures["micro_batches_an_update"] < 2
    assert 300 < figures["target_tokens_a_micro_batch"] < 600
    assert outcome.summary.startswith(f"{figures['target_tokens_per_second']:,.0f} (")
    outcome = gpu_throughput.train_lstms(tiny)
    assert [figures["model"] for figures in outcome.figures] == ["bahdanau", "luong without feeding"]
    slow, fast = (figures["turns"] for figures in outcome.figures)
    pairs = zip(slow, fast, strict=True)
    times = sorted(b["target_tokens"] / b["seconds"] / (a["target_tokens"] / a["seconds"]) for a, b in pairs)
    assert outcome.summary.endswith(f" target tokens/s: {times[1]:.2f} times")


@pytest.mark.slow
def test_a_training_that_fails_and_one_that_is_cut_off(session: Callable[..., Any]) -> None:
    import gpu_throughput

    outcome = gpu_throughput.train_transformer(session("--words", f"{TINY} trainer.tokens_per_update=x"))
    assert outcome.figures == []
    assert outcome.failure.startswith("ours, transformer, fp32: exit code 1: ")
    assert "tokens_per_update" in outcome.failure
    began = time.monotonic()
    outcome = gpu_throughput.train_transformer(session("--words", TINY, seconds=1))
    assert outcome.failure == "ours, transformer, fp32: cut off, for its time was over"
    assert time.monotonic() - began < 30


@pytest.mark.slow
def test_a_recipe_is_trained_scored_and_its_model_decodes(session: Callable[..., Any], tmp_path: Path) -> None:
    import gpu_recipes

    words = f"data=cldr {TINY} trainer.validate_every=2"
    tiny = session("--width", "8", "--share", "0.005", "--words", words)
    outcome = gpu_recipes.train_tatoeba(tiny)
    [figures] = outcome.figures
    assert outcome.failure == ""
    assert figures["updates"] <= figures["planned_updates"]
    assert figures["rehearsal"]["update"] > 0 < figures["rehearsal"]["validation"]
    last = figures["valid_curve"][-1]
    assert last["update"] == figures["updates"]
    assert 0 < 60 * last["minutes"] <= figures["seconds"]
    assert figures["best_valid"]["valid/bleu"] == max(point["valid/bleu"] for point in figures["valid_curve"])
    assert figures["test_sentences"] == 12
    assert figures["test"]["bleu"]["signature"].startswith("nrefs:1")
    assert f"BLEU {figures['test']['bleu']['score']:.2f} on test" in outcome.summary
    assert (tmp_path / "tatoeba/run/best").exists()
    outcome = gpu_recipes.decode_tatoeba(tiny)
    [figures] = outcome.figures
    assert (figures["beam"], len(figures["turns"])) == (5, 3)
    assert all(turn["sentences"] == 12 and "hypotheses" not in turn for turn in figures["turns"])
    assert all(12 <= turn["target_tokens"] <= 12 * 9 for turn in figures["turns"])
    assert outcome.summary.startswith("12 sentences in ")
