"""Exact match: scores computed by hand, of several references the best, and bad input."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import seq2seq
from seq2seq.metrics.exact_match import ExactMatch

SQUAD: dict[str, Any] = {"lowercase": True, "remove_punctuation": "ascii", "remove_articles": ["a", "an", "the"]}


def exact_match(**changed: Any) -> ExactMatch:
    return ExactMatch(**{**SQUAD, "join_spaces": True, **changed})


@pytest.mark.parametrize(
    ("changed", "hypotheses", "references", "value"),
    [
        ({}, ["Paris"], [("paris.",)], 100.0),
        ({}, ["Paris", "Rome"], [("Paris",), ("Oslo",)], 50.0),
        ({}, ["the Nile", "x", "y"], [("Nile river", "Nile"), ("a",), ("b",)], 100 / 3),  # one of two references
        ({}, ["Paris, France"], [("Paris",)], 0.0),
        ({}, [""], [("",)], 100.0),
        ({}, ["the"], [("A",)], 100.0),  # nothing is left of both
        ({"lowercase": False}, ["Paris"], [("paris",)], 0.0),
        ({"join_spaces": False, "remove_articles": []}, ["a  b"], [("a b",)], 0.0),
        ({"remove_punctuation": "none"}, ["b."], [("b",)], 0.0),
    ],
)
def test_by_hand(
    changed: dict[str, Any], hypotheses: list[str], references: list[tuple[str, ...]], value: float
) -> None:
    score = exact_match(**changed).score(hypotheses, references)["exact_match"]
    assert score.value == pytest.approx(value)
    assert score.details == {}


def test_signature() -> None:
    assert exact_match().signature([("a", "b"), ("c", "d")]) == (
        f"nrefs:2|case:lc|punct:ascii-removed|articles:a+an+the-removed|space:single|seq2seq:{seq2seq.__version__}"
    )


def test_the_yaml_file_gives_all_arguments(repository: Path) -> None:
    arguments = yaml.safe_load((repository / "configs/metrics/text2text.yaml").read_text())["exact_match"]
    assert arguments.pop("_target_") == "seq2seq.metrics.exact_match.ExactMatch"
    assert arguments.pop("_partial_") is True
    assert ExactMatch(**arguments).signature([("a",)]) == exact_match().signature([("a",)])


def test_mismatched_input_is_refused() -> None:
    with pytest.raises(ValueError, match="2 hypotheses cannot be scored against the references of 1"):
        exact_match().statistics(["a", "b"], [("a",)])
