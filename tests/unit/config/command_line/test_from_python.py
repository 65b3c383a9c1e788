"""Keys that are given from Python: as words, as values, nested."""

from collections import OrderedDict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from omegaconf.basecontainer import BaseContainer

from seq2seq.config.command_line.from_python import settings_of
from seq2seq.config.command_line.script import Script
from seq2seq.config.problems import Mistakes
from seq2seq.config.resolvers import HYDRAS
from seq2seq.config.schema import TrainSettings


def lines(script: Script, *given: Any, **keys: Any) -> tuple[str, ...]:
    with pytest.raises(Mistakes) as found:
        settings_of(script, given, keys)
    return found.value.lines


@pytest.mark.parametrize(
    "given",
    [
        ["encoder=gru", "encoder.hidden_size=64", "seed=3"],
        [{"encoder": "gru", "encoder.hidden_size": 64}, "seed=3"],
        [{"encoder": "gru"}, {"encoder": {"hidden_size": 64}, "seed": np.int64(3)}],
        [OmegaConf.create({"encoder.hidden_size": 64, "seed": 3, "encoder": "gru"})],
        [OrderedDict(seed=3.0, encoder="gru"), {"encoder": OmegaConf.create({"hidden_size": 64})}],
    ],
)
def test_words_and_mappings_are_the_same(train: Script, given: list[Any]) -> None:
    found: TrainSettings = settings_of(train, given, {"run": "one"})
    assert (found.encoder.name, found.encoder.arguments["hidden_size"], found.seed) == ("gru", 64, 3)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("one", "one"),
        ("7", "7"),
        ("1e3", "1e3"),
        ("true", "true"),
        ("null", "null"),
        ("it's [a], {b: c} = d", "it's [a], {b: c} = d"),
        ("a\\", "a\\"),
        ("'a'", "'a'"),
        ("a,b", "a,b"),
        ("é 日本", "é 日本"),
        (Path("one"), "./one"),
        (Path("/runs/one"), "/runs/one"),
    ],
)
def test_text_stays_this_text(train: Script, value: object, expected: str) -> None:
    assert settings_of(train, [{"run": value}], {}).run == expected


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("trainer.max_minutes", 0.5, 0.5),
        ("trainer.max_minutes", Fraction(1, 2), 0.5),
        ("trainer.max_minutes", 1e-07, 1e-07),
        ("trainer.max_minutes", 10**15, 1e15),
        ("trainer.max_epochs", 3, 3),
        ("trainer.max_minutes", None, None),
        ("trainer.deterministic", True, True),
        ("trainer.validate_every", "auto", "auto"),
        ("freeze", ["encoder", "decoder.*"], ["encoder", "decoder.*"]),
        ("freeze", (), []),
        ("search.max_length", [20, 1.5], [20, 1.5]),
    ],
)
def test_values_keep_their_type(train: Script, key: str, value: object, expected: object) -> None:
    found = settings_of(train, [], {"run": "one", key: value}).plain
    for name in key.split("."):
        found = found[name]
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"seed": "3"}, "seed=3: expected a whole number, got '3'"),
        ({"seed": True}, "seed=true: expected a whole number, got true"),
        ({"trainer.max_minutes": float("nan")}, "trainer.max_minutes=nan: expected a finite number, got nan"),
        (
            {"encoder.hiden_size": 3},
            "encoder.hiden_size=3: no such key; did you mean hidden_size? encoder=lstm takes: ",
        ),
        ({"encoder": "lsmt"}, "encoder=lsmt: there is no encoder 'lsmt'; did you mean lstm? Choices: gru, lstm"),
        ({"encoder": "a b"}, "encoder=a b: there is no encoder 'a b'. Choices: gru, lstm"),
        ({"seed": object}, "seed: expected text, a number, True, False, None, a list or a dict, got <class 'object'>"),
        ({"freeze": [b"x"]}, "freeze: expected text, a number, True, False, None, a list or a dict, got b'x'"),
        ({"seed": "1,2"}, "seed=1,2: expected a whole number, got '1,2'"),
    ],
)
def test_mistakes_name_the_key(train: Script, given: dict[str, Any], line: str) -> None:
    (found,) = lines(train, given)
    assert found.startswith(line)


def test_all_mistakes_are_reported_together(train: Script) -> None:
    assert len(lines(train, "seed=x", {"encodr": "lstm"}, **{"search.beam_size": "many"})) == 3


def test_refused_keys_say_what_to_do_instead(train: Script) -> None:
    with pytest.raises(Mistakes, match="seed=3: not here"):
        settings_of(train, ["seed=3"], {}, refused={"seed": "not here"})


def test_what_is_neither_a_word_nor_a_mapping(train: Script) -> None:
    for wrong in (3, ["seed=3"], None):
        with pytest.raises(TypeError, match=r"expected words such as 'search\.beam_size=5', or a mapping, got "):
            settings_of(train, [wrong], {})  # type: ignore[list-item]


def test_the_words_are_those_of_the_command(train: Script) -> None:
    found = settings_of(train, ["encoder=gru", {"seed": 3}], {"run": "a b"})
    assert found.command == ("encoder=gru", "seed=3", "run='a b'")


def test_resolvers_are_as_before(train: Script) -> None:
    before = dict(BaseContainer._resolvers)
    try:
        for name in HYDRAS:
            BaseContainer._resolvers.pop(name, None)
        OmegaConf.register_new_resolver("now", lambda: "mine")
        mine = BaseContainer._resolvers["now"]
        found = settings_of(train, [], {"run": "${python_version:}-${seed}"})
        assert found.run.startswith("3.") and found.run.endswith("-1")
        assert BaseContainer._resolvers["now"] is mine
        assert not {"hydra", "python_version"} & BaseContainer._resolvers.keys()
    finally:
        BaseContainer._resolvers.clear()
        BaseContainer._resolvers.update(before)
