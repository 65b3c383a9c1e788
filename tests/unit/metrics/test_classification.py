"""Accuracy and macro F1: scores computed by hand, labels that vanish from a sample, and too many of them."""

from pathlib import Path

import numpy as np
import pytest
import yaml

import seq2seq
from seq2seq.errors import ConfigError
from seq2seq.metrics import bootstrap
from seq2seq.metrics.classification import Classification


def scores(hypotheses: list[str], references: list[tuple[str, ...]], lowercase: bool = False) -> tuple[float, float]:
    found = Classification(lowercase=lowercase).score(hypotheses, references)
    return found["accuracy"].value, found["macro_f1"].value


# The comments give the F1 of each label.
@pytest.mark.parametrize(
    ("hypotheses", "references", "accuracy", "macro_f1"),
    [
        ("a a b b", "a a b b", 100.0, 100.0),
        ("a a a a", "a a a b", 75.0, 100 * (6 / 7 + 0) / 2),  # a: precision 3/4, recall 1; b: 0
        ("a b b c", "a a b c", 75.0, 100 * (2 / 3 + 2 / 3 + 1) / 3),  # a: 1, 1/2; b: 1/2, 1; c: 1, 1
        ("x a", "a a", 50.0, 100 * 2 / 3),  # a text that is no label: a: 1, 1/2
        ("x", "a", 0.0, 0.0),
        ("A", "a", 0.0, 0.0),
    ],
)
def test_by_hand(hypotheses: str, references: str, accuracy: float, macro_f1: float) -> None:
    found = scores(hypotheses.split(), [(label,) for label in references.split()])
    assert found == pytest.approx((accuracy, macro_f1))


def test_only_the_white_space_around_a_label_is_ignored_and_case_on_request() -> None:
    assert scores([" very good\n"], [("very good",)]) == (100.0, 100.0)
    assert scores(["very  good"], [("very good",)]) == (0.0, 0.0)
    assert scores(["Very Good"], [("very good",)], lowercase=True) == (100.0, 100.0)


def test_of_several_references_the_one_that_is_output_is_right_or_else_the_first() -> None:
    # a: output once, right twice (the third sentence too), 2/3; b: right and output once, 1
    assert scores(["a", "b", "c"], [("b", "a"), ("b",), ("a", "b")]) == pytest.approx((200 / 3, 100 * 5 / 6))


def test_labels_that_are_not_in_a_sample_do_not_count() -> None:
    metric = Classification(lowercase=False)
    rows = metric.statistics(["a", "b"], [("a",), ("b",)])
    assert metric.values(2 * rows[0], 2) == {"accuracy": 100.0, "macro_f1": 100.0}
    interval = bootstrap(metric, ["a", "b"] * 10, [("a",), ("b",)] * 10, samples=50)
    assert interval == {"accuracy": (100.0, 100.0), "macro_f1": (100.0, 100.0)}


def test_equal_to_a_confusion_matrix() -> None:
    """The definition, from the counts of each pair of labels."""
    random = np.random.default_rng(0)
    right, output = random.integers(0, 4, 200), random.integers(0, 4, 200)
    matrix = np.zeros((4, 4))
    np.add.at(matrix, (right, output), 1)
    precision, recall = np.diag(matrix) / matrix.sum(0), np.diag(matrix) / matrix.sum(1)
    expected = 100 * np.mean(2 * precision * recall / (precision + recall))
    found = scores([f"l{n}" for n in output], [(f"l{n}",) for n in right])
    assert found == pytest.approx((100 * np.trace(matrix) / 200, expected))


def test_signature() -> None:
    found = Classification(lowercase=True).signature([("Yes",), ("yes",), ("no",)])
    assert found == f"nrefs:1|case:lc|labels:2|seq2seq:{seq2seq.__version__}"


def test_free_text_is_refused() -> None:
    references = [(f"text {number}",) for number in range(1001)]
    metric = Classification(lowercase=False)
    metric.check(references[1:])
    for act in (lambda: metric.check(references), lambda: metric.score(["x"] * 1001, references)):
        with pytest.raises(ConfigError, match=r"^the references have 1,001 different texts, too many to be labels"):
            act()


def test_the_yaml_file_gives_all_arguments(repository: Path) -> None:
    (arguments,) = yaml.safe_load((repository / "configs/metrics/classification.yaml").read_text()).values()
    assert arguments.pop("_target_") == "seq2seq.metrics.classification.Classification"
    assert arguments.pop("_partial_") is True
    assert Classification(**arguments).names == ("accuracy", "macro_f1")
