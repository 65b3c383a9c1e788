"""Arguments that a stored configuration cannot give."""

from typing import Any

import pytest

from seq2seq.config.targets import Targets
from seq2seq.config.typed_only import without_typed_only

EXTERNAL = {"_target_": "seq2seq.metrics.external.External", "name": "x", "command": "rm x"}
BLEU = {"_target_": "seq2seq.metrics.bleu.Bleu", "command": "kept"}


@pytest.mark.parametrize(
    ("stored", "expected", "keys"),
    [
        ({"metrics": {"x": EXTERNAL}}, {"metrics": {"x": {**EXTERNAL, "command": None}}}, ["metrics.x.command"]),
        ({"a": [1, {"b": EXTERNAL}]}, {"a": [1, {"b": {**EXTERNAL, "command": None}}]}, ["a[1].b.command"]),
        ({"command": ["train"], "metrics": {"bleu": BLEU}}, None, []),
        ({"m": {**EXTERNAL, "_target_": "os.system"}}, None, []),  # which is no class that may be built
        ({"m": {**EXTERNAL, "_target_": 7}}, None, []),
        ({"m": {"_target_": EXTERNAL["_target_"]}}, None, []),
        (
            {"m": {**EXTERNAL, "command": {"_target_": EXTERNAL["_target_"], "command": "x"}}},
            {"m": {**EXTERNAL, "command": None}},
            ["m.command.command", "m.command"],
        ),
    ],
)
def test_commands_are_left_out(stored: dict[str, Any], expected: dict[str, Any] | None, keys: list[str]) -> None:
    before = repr(stored)
    assert without_typed_only(stored, Targets()) == (stored if expected is None else expected, keys)
    assert repr(stored) == before
