"""A run and its baselines are scored together, with the same scores as each one alone; names of baselines."""

from collections.abc import Sequence

import numpy as np
import pytest

from seq2seq.analysis.evaluation.systems import chosen_extracts, score_systems
from seq2seq.metrics import Metric, bootstrap, compare
from seq2seq.metrics.bleu import Bleu
from seq2seq.metrics.rouge import Rouge

ROUGE = Rouge(types=["rouge1", "rougeL"], tokenizer="english", stemmer=False, references="max", sentences="newline")
BLEU = Bleu(tokenize="13a", lowercase=False)
REFERENCES = [("a b c d", "b c d"), ("e f g h",), ("i j k l",)] * 5
RUN = ["a b c x", "e f g h", "l k j i"] * 5
OTHER = ["x y", "e f", "i j k l"] * 5


def test_scores_equal_those_of_each_system_alone() -> None:
    run, others = score_systems(RUN, {"lead-1": OTHER}, REFERENCES, {"rouge": ROUGE, "bleu": BLEU}, 50)
    for texts, scored in [(RUN, run), (OTHER, others["lead-1"])]:
        assert list(scored.scores) == ["rouge1", "rougeL", "bleu"]
        for metric in (ROUGE, BLEU):
            ranges = bootstrap(metric, texts, REFERENCES, samples=50)
            for name, score in metric.score(texts, REFERENCES).items():
                found = scored.scores[name]
                assert (found.value, found.signature, found.details) == (score.value, score.signature, score.details)
                assert (found.low, found.high) == ranges[name]
    assert run.lead == {}
    expected = compare(ROUGE, RUN, OTHER, REFERENCES) | compare(BLEU, RUN, OTHER, REFERENCES)
    assert others["lead-1"].lead == expected
    assert expected["rouge1"].difference > 0


def test_without_samples_there_are_no_intervals() -> None:
    run, others = score_systems(RUN, {"lead-1": OTHER}, REFERENCES, {"rouge": ROUGE}, 0)
    for scored in (run, others["lead-1"]):
        assert all(score.low is None and not score.intervals for score in scored.scores.values())


def test_texts_are_compared_with_the_references_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def statistics(self: Rouge, hypotheses: Sequence[str], references: object) -> np.ndarray:
        calls.append(hypotheses)
        return real(self, hypotheses, references)  # type: ignore[arg-type]

    real = Rouge.statistics
    monkeypatch.setattr(Rouge, "statistics", statistics)
    score_systems(RUN, {"lead-1": OTHER}, REFERENCES, {"rouge": ROUGE}, 50)
    assert calls == [RUN, OTHER]


@pytest.mark.parametrize(
    ("key", "metrics", "names"),
    [
        ("auto", [ROUGE], ["lead-1", "lead-3", "random-3"]),
        ("auto", [BLEU, ROUGE], ["lead-1", "lead-3", "random-3"]),
        ("auto", [BLEU], []),
        ("none", [ROUGE], []),
        ("lead-2", [BLEU], ["lead-2"]),
        (["lead-2", "random-1", "lead-2"], [ROUGE], ["lead-2", "random-1"]),
        ([], [ROUGE], []),
    ],
)
def test_names_of_baselines(key: str | list[str], metrics: list[Metric], names: list[str]) -> None:
    assert chosen_extracts(key, {str(number): metric for number, metric in enumerate(metrics)}) == names
