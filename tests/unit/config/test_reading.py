"""Values checked against annotations: accepted and converted, or refused with a message."""

import math
from typing import Any, Literal

import pytest
from sample_parts import Nested, Recurrent, Small, Window

from seq2seq.config.reading import MISSING, Reader
from seq2seq.config.targets import Targets
from seq2seq.types import Part

TARGETS = Targets(packages=("sample_parts",), kinds={})
SMALL = {"_target_": "sample_parts.Small", "_partial_": True, "dropout": 0.5}


def read(annotation: Any, value: Any) -> tuple[Any, list[str]]:
    reader = Reader(TARGETS)
    return reader.value("key", annotation, value), [f"{problem.key}: {problem.text}" for problem in reader.problems]


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (int, 3, 3),
        (float, 3, 3.0),
        (float, 0.5, 0.5),
        (int, 1e4, 10000),
        (int | float, 1.0, 1.0),
        (int | None, 1e4, 10000),
        (str, "lat\udce9in", "lat\udce9in"),
        (bool, True, True),
        (str, "3", "3"),
        (int | None, None, None),
        (float | None, 2, 2.0),
        (int | float, 2, 2),
        (Literal["a", "b"], "b", "b"),
        (list[int], [1, 2], [1, 2]),
        (list[float], [1, 2.5], [1.0, 2.5]),
        (tuple[float, float], [1, 2], (1.0, 2.0)),
        (tuple[int, ...], [1, 2, 3], (1, 2, 3)),
        (str | list[str], ["a"], ["a"]),
        (dict[str, float], {"a": 1}, {"a": 1.0}),
        (dict[str, dict[str, str]], {"a": {"b": "c"}}, {"a": {"b": "c"}}),
        (Any, {"what": "ever"}, {"what": "ever"}),
        (Window, {"width": 3}, Window(3, "hard")),
        (Part, SMALL, Part("Small", Small, {"dropout": 0.5})),
        (Part | None, SMALL, Part("Small", Small, {"dropout": 0.5})),
        (dict[str, Part], {"a": SMALL}, {"a": Part("a", Small, {"dropout": 0.5})}),
    ],
)
def test_right_values_are_read(annotation: Any, value: Any, expected: Any) -> None:
    found, problems = read(annotation, value)
    assert problems == []
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("annotation", "value", "line"),
    [
        (int, True, "key: expected a whole number, got true"),
        (int, 2.5, "key: expected a whole number, got 2.5"),
        (int, 2.0**63, "key: expected a whole number, got 9.223372036854776e+18"),
        (int, 2**63, "key: expected a whole number of at most 64 bits, got 9223372036854775808"),
        (float, 10**400, f"key: expected a number, got {str(10**400)[:57]}..."),
        (float, math.nan, "key: expected a finite number, got nan"),
        (float | None, math.inf, "key: expected a finite number, got inf"),
        (list[float], [1.0, -math.inf], "key[1]: expected a finite number, got -inf"),
        (Any, {"a": [math.nan]}, "key.a[0]: expected a finite number, got nan"),
        (Any, b"bytes", "key: expected text, a number, true, false or null, got b'bytes'"),
        (str, "a\0b", "key: text cannot contain the character NUL, got 'a\\x00b'"),
        (str | None, "\ud800", "key: text cannot contain an unpaired surrogate, got '\\ud800'"),
        (dict[str, int], {"a\x1b": 1}, "key: 'a\\x1b' cannot be a name: expected printable text"),
        (int, None, "key: expected a whole number, got null"),
        (float, "1e-3", "key: expected a number, got '1e-3'"),
        (float, False, "key: expected a number, got false"),
        (bool, 1, "key: expected true or false, got 1"),
        (bool, "yes", "key: expected true or false, got 'yes'"),
        (str, 7, "key: expected text, got 7; put it in quotes"),
        (int | None, "x", "key: expected a whole number or null, got 'x'"),
        (Literal["drop", "keep"], "dorp", "key: expected one of drop, keep, got 'dorp'; did you mean drop?"),
        (Literal[1, 2], True, "key: expected one of 1, 2, got true"),
        (list[int], 1, "key: expected a list, each item a whole number, got 1"),
        (list[int], [1, "x"], "key[1]: expected a whole number, got 'x'"),
        (tuple[float, float], [1], "key: expected a list: [a number, a number], got [1]"),
        (dict[str, int], {"a": "x"}, "key.a: expected a whole number, got 'x'"),
        (dict[str, int], {1: 2}, "key.1: expected text, got 1; put it in quotes"),
        (str | list[str], ["a", 3], "key[1]: expected text, got 3; put it in quotes"),
        (Window, {"width": 3, "knd": "soft"}, "key.knd: no such key; did you mean kind? key takes: kind, width"),
        (Window, 3, "key: expected keys and values, got 3; it takes: kind, width"),
        (Part, {"dropout": 0.5}, "key: expected a part (keys with a _target_), got {'dropout': 0.5}"),
        (int, SMALL, f"key: expected a whole number, got {str(SMALL)[:57]}..."),
        (int, MISSING, "key: must be given: a whole number"),
        (Literal["a", "b"] | None, MISSING, "key: must be given: one of a, b or null"),
    ],
)
def test_wrong_values_are_reported_in_one_line(annotation: Any, value: Any, line: str) -> None:
    assert read(annotation, value)[1] == [line]


def part(target: str, **arguments: Any) -> tuple[Part | None, list[str]]:
    reader = Reader(TARGETS)
    found = reader.part("encoder", {"_target_": f"sample_parts.{target}", **arguments}, name="lstm")
    return found, [f"{problem.key}: {problem.text}" for problem in reader.problems]


def test_a_part_is_its_class_and_arguments() -> None:
    arguments = {"hidden_size": 4, "layers": 1, "mode": "before", "bias": True}
    assert part("Recurrent", _partial_=True, **arguments) == (Part("lstm", Recurrent, arguments), [])


def test_every_mistake_in_a_part_is_reported_once() -> None:
    found, lines = part("Recurrent", hiden_size=4, mode="befor", bias=1, input_dim=3, depth=2, _partial_=False)
    assert found is not None
    assert lines == [
        "encoder._partial_: is always true, got false",
        "encoder.input_dim: the builder supplies it; take it out",
        "encoder.hiden_size: no such key; did you mean hidden_size? "
        "encoder=lstm takes: bias, hidden_size, layers, mode",
        "encoder.depth: no such key. encoder=lstm takes: bias, hidden_size, layers, mode",
        "encoder.layers: must be given: a whole number",
        "encoder.mode: expected one of before, after, got 'befor'; did you mean before?",
        "encoder.bias: expected true or false, got 1",
    ]


def test_parts_may_contain_parts() -> None:
    found, lines = part("Nested", normalizer=SMALL, factory=SMALL, windows=[{"width": 1}], betas=[1, 0], steps=[1])
    assert lines == []
    inner = Part("Small", Small, {"dropout": 0.5})
    expected = {"normalizer": inner, "factory": inner, "windows": [Window(1)], "betas": (1.0, 0.0), "steps": [1]}
    assert found == Part("lstm", Nested, expected)
    lines = part("Nested", normalizer={**SMALL, "dropout": "x"}, factory={"_target_": "os.system"})[1]
    assert lines[0] == "encoder.normalizer.dropout: expected a number, got 'x'"
    assert lines[1].startswith("encoder.factory._target_: 'os.system' is not allowed.")
