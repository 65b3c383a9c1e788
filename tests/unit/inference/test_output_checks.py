"""Warnings about a validation's outputs: each once, and only with a reason."""

import pytest

from seq2seq.inference.output_checks import OutputWatch, alike, empty_references

REFERENCES = [("a",), ("b", "c")]


@pytest.mark.parametrize(
    ("texts", "references", "line"),
    [
        (["", " "], REFERENCES, "all 2 outputs are empty"),
        (["x", "x"], REFERENCES, "all 2 outputs are the same: 'x'"),
        (["\x1b[0m", "\x1b[0m"], REFERENCES, r"all 2 outputs are the same: '\x1b[0m'"),
        (["x", "y"], REFERENCES, None),
        (["x", "x"], [("x",), ("x",)], None),
        (["x"], [("a",)], None),
        ([""], [("",)], None),
    ],
)
def test_outputs_that_are_all_the_same(texts: list[str], references: list[tuple[str, ...]], line: str | None) -> None:
    assert alike(texts, references) == line


@pytest.mark.parametrize(
    ("references", "line"),
    [
        ([("", " "), ("",)], "all 2 references are empty: scores against them mean nothing"),
        ([("", "a"), ("",)], "1 of 2 references are empty: every hypothesis scores 0 against them"),
        (REFERENCES, None),
    ],
)
def test_empty_references(references: list[tuple[str, ...]], line: str | None) -> None:
    assert empty_references(references) == line


def test_each_warning_is_given_once() -> None:
    watch = OutputWatch()
    values = {"valid/nll": 3.0, "valid/bleu": 0.0}
    assert watch(["", ""], REFERENCES, values) == ["all 2 outputs are empty"]
    assert watch(["x", "x"], REFERENCES, {**values, "valid/nll": 2.5}) == []
    assert watch(["x", "y"], REFERENCES, {**values, "valid/nll": 2.0}) == [
        "unchanged over 3 validations: valid/bleu 0.00; valid/nll went from 3.000 to 2.000"
    ]
    assert watch(["x", "y"], REFERENCES, values) == []


@pytest.mark.parametrize("scores", [[0.0, 0.0], [0.0, 0.0, 0.01], [1.0, 0.0, 0.0, 0.0], [float("nan")] * 3])
def test_a_score_that_is_not_stuck_gives_no_warning(scores: list[float]) -> None:
    watch = OutputWatch()
    for score in scores:
        assert watch(["x", "y"], REFERENCES, {"valid/nll": 1.0, "valid/bleu": score}) == []
