"""Rules in the annotation of a key: limits, whether it may change when resuming, its value in older runs."""

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from seq2seq.config.key_rules import ABOVE_ZERO, MAY_CHANGE, SHARE, Older, beyond_limits, keys_with, older_values
from seq2seq.config.problems import Problem


@dataclass(frozen=True)
class Inner:
    size: Annotated[int | Literal["auto"] | None, ABOVE_ZERO, MAY_CHANGE]
    dropout: Annotated[float, SHARE, Older(0.5)] = 0.0


@dataclass(frozen=True)
class Outer:
    inner: Inner
    names: Annotated[list[str], Older([])]
    free: Annotated[str, MAY_CHANGE] = ""


@pytest.mark.parametrize(
    ("inner", "problems"),
    [
        (Inner(1), []),
        (Inner(None), []),
        (Inner("auto"), []),
        (Inner(0), [Problem("inner.size", "expected more than 0, got 0")]),
        (Inner(1, 1.0), [Problem("inner.dropout", "expected a share from 0 to below 1, got 1.0")]),
    ],
)
def test_limits_apply_to_numbers_only(inner: Inner, problems: list[Problem]) -> None:
    assert beyond_limits(Outer(inner, [])) == problems


def test_key_with_a_known_problem_is_skipped() -> None:
    assert beyond_limits(Outer(Inner(0), []), [Problem("inner.size", "expected a whole number")]) == []


def test_rules_are_found_in_nested_sections() -> None:
    assert keys_with(MAY_CHANGE, Outer) == {"inner.size", "free"}
    assert older_values(Outer) == {"inner.dropout": 0.5, "names": []}
