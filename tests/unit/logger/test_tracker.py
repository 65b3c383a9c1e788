"""Trackers: what is missing is reported before data is read; a record is completed from metrics.jsonl."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.errors import ConfigError
from seq2seq.logger import tracker as module
from seq2seq.logger.base import Session
from seq2seq.logger.tracker import Tracker, as_setting
from seq2seq.training.preflight import check


class Listed(Tracker):
    """A record that is a list; `had` are its keys and their last updates when the session begins."""

    package = "not_installed"

    def __init__(self, *, session: Session, had: dict[str, int]) -> None:
        self.calls: list[tuple] = []
        self.begin(session, new=not had, last=had)

    def key(self, tag: str) -> str:
        return tag.replace("→", "_")

    def add_scalars(self, update: int, values: dict[str, float]) -> None:
        self.calls.append((update, values))

    def store(self) -> None:
        self.calls.append(("stored",))

    def add_text(self, update: int, tag: str, markdown: str) -> None:
        self.calls.append((update, tag))

    def add_image(self, update: int, tag: str, pixels: np.ndarray) -> None:
        self.calls.append((update, tag))

    def add_settings(self, flat: Mapping[str, Any]) -> None:
        self.calls.append(("settings",))

    def close(self) -> None:
        pass


def test_what_the_record_has_is_left_out_and_what_it_lacks_is_added_first(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(
        '{"update": 10, "a": 1.0, "b": 2.0}\n{"update": 20, "a": null, "b→c": 3.0}\n{"update": 30, "a": 9.0}\n'
    )
    recorder = Listed(session=Session(tmp_path, 20), had={"a": 10, "b": 40, "b_c": 20, "text": 30})
    (update, values), *rest = recorder.calls
    assert update == 20
    assert list(values) == ["a"]
    assert math.isnan(values["a"])
    assert rest == [("stored",)]
    recorder.calls.clear()
    recorder.hyperparameters({"seed": 1}, [])
    for update in (30, 40, 50):
        recorder.scalars(update, {"a": 1.0, "b": 2.0})
        recorder.text(update, "text", "")
        recorder.image(update, "image", np.zeros((2, 2, 3), np.uint8))
    assert [call for call in recorder.calls if call != ("stored",)] == [
        *[(30, {"a": 1.0}), (30, "image")],
        *[(40, {"a": 1.0}), (40, "text"), (40, "image")],
        *[(50, {"a": 1.0, "b": 2.0}), (50, "text"), (50, "image")],
    ]


def test_only_a_new_record_gets_the_settings(tmp_path: Path) -> None:
    for had, expected in (({}, [("settings",)]), ({"a": 10}, [])):
        recorder = Listed(session=Session(tmp_path, 10), had=had)
        recorder.hyperparameters({"seed": 1}, [])
        assert recorder.calls == expected


def test_a_missing_package_is_named_with_what_installs_it() -> None:
    expected = "logger=not_installed needs the package not_installed: pip install 'seq2seq[not_installed]'"
    assert Listed.problem(mode="x") == expected
    with pytest.raises(ConfigError) as caught:
        Listed.imported()
    assert str(caught.value) == expected


def test_a_missing_package_is_reported_before_data_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    settings = load_train(compose(CONFIGS, "train", ["logger=[jsonl,wandb,mlflow,trackio]"]))
    assert check(settings) == [
        f"logger={name} needs the package {name}: pip install 'seq2seq[{name}]'"
        for name in ("wandb", "mlflow", "trackio")
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (1, 1),
        (0.5, 0.5),
        ("ä", "ä"),
        ([1, "a"], '[1, "a"]'),
        ("lat\udce9in", r"lat\udce9in"),
    ],
)
def test_settings_are_plain_values(value: Any, expected: Any) -> None:
    assert as_setting(value) == expected
