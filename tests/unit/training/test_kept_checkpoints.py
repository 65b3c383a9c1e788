"""Which checkpoints a run keeps, and the means of the newest and of the best; a run in parts has the same."""

import json
from dataclasses import asdict

import pytest
from small_runs import evaluate_settings, same, settings

from seq2seq.analysis.evaluation.evaluation import evaluate
from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.read import Checkpoint, best_step, load
from seq2seq.checkpoint.selection import best_validated
from seq2seq.config.schema import TrainSettings
from seq2seq.logger.jsonl import read_metrics
from seq2seq.training.run import train
from seq2seq.training.state import TrainState, ranked, saved_state

pytestmark = pytest.mark.usefixtures("in_its_own_folder", "without_shape_checks")


def often(run: str, updates: int, *words: str) -> TrainSettings:
    """Saves more often than it validates, and its scores rise and fall."""
    given = {"save_every": 1, "validate_every": 2, "keep_last": 3, "keep_best": 2, "average": 2, "max_updates": updates}
    trainer = [f"trainer.{key}={value}" for key, value in given.items()]
    return settings(run, *trainer, "trainer.best_metric=valid/chrf", "optimizer.lr=0.03", *words)


def test_the_newest_are_closely_spaced_and_the_best_are_the_best_validated() -> None:
    train(often("whole", 12))
    folder = RunFolder.of("whole")
    validated = [line for line in read_metrics(folder.metrics_file) if "valid/chrf" in line]
    scores = {line["update"]: (round(line["valid/chrf"], 2), -line["valid/nll"]) for line in validated}
    ranked = sorted(scores, key=scores.__getitem__, reverse=True)
    assert [*scores] == [2, 4, 6, 8, 10, 12]
    assert not {10, 12} & {*ranked[:2]}
    assert best_validated(folder, 2) == ranked[:2]
    assert best_step(folder) == ranked[0]
    assert set(folder.steps()) == {10, 11, 12, *ranked[:2]}
    assert load(folder, "average", ["model"], average=3).step == 12
    assert load(folder, "average-best", ["model"], average=2).step == max(ranked[:2])
    train(often("parts", 5))
    train(often("parts", 12))
    assert RunFolder.of("parts").steps() == folder.steps()
    for which in ("average", "average-best"):
        means = [load(RunFolder.of(run), which, ["model"], average=2).model for run in ("whole", "parts")]
        assert same(*means)


def test_results_name_the_mean() -> None:
    run = often("one", 4, "trainer.ema=0.9")
    train(run)
    names = ("average-best", "average", "last")
    tables = [evaluate(evaluate_settings("one", checkpoint=name), run).table for name in names]
    assert [table.split("\n")[0] for table in tables] == [
        f"runs/one, test, {name}: 12 texts" for name in ("average-best", "average", "step-4")
    ]
    folder = RunFolder.of("one").eval_folder
    found = {name: json.loads((folder / f"test-{name}.json").read_text()) for name in ("average", "average-best")}
    assert {name: result["checkpoint"] for name, result in found.items()} == {name: name for name in found}
    assert found["average"]["outputs"] != found["average-best"]["outputs"]


def test_the_ranking_of_a_score_that_is_no_number_is_read_back() -> None:
    state = TrainState(best_nll=1.0, ranking=list(ranked(float("nan"), True, float("nan"))))
    assert saved_state(Checkpoint(step=1, groups={}, state=json.loads(json.dumps(asdict(state))))) == state
