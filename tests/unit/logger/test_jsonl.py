"""metrics.jsonl: valid JSON, cut where a run is resumed, read line by line."""

import json
from pathlib import Path

import numpy as np
import pytest

from seq2seq.logger.base import Session
from seq2seq.logger.jsonl import JsonLines, cut_metrics, metrics_line, read_metrics


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1.5, "1.5"),
        (3, "3"),
        (float("nan"), "null"),
        (float("inf"), "null"),
        (-float("inf"), "null"),
        (np.float64(0.1), "0.1"),
    ],
)
def test_every_number_becomes_valid_json(value: float, written: str) -> None:
    line = metrics_line(7, {"train/loss": value})
    assert line == b'{"update": 7, "train/loss": %s}\n' % written.encode()
    json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.mark.parametrize(
    ("content", "after", "left"),
    [
        (b'{"update": 1}\n{"update": 2}\n{"update": 3}\n', 2, b'{"update": 1}\n{"update": 2}\n'),
        (b'{"update": 1}\n{"update": 2}\n', 2, b'{"update": 1}\n{"update": 2}\n'),
        (b'{"update": 1}\n{"upd', 1, b'{"update": 1}\n'),
        (b'{"update": 1}\n{"update": 1, "tra\n', 1, b'{"update": 1}\n'),
        (b'{"update": 1}\nnull\n{"update": "2"}\n[]\n{"update": 2}\n', 2, b'{"update": 1}\n{"update": 2}\n'),
        (b'{"update": 0}\n{"update": 5}\n', 0, b""),
        (b"", 5, b""),
    ],
    ids=["later lines", "nothing to cut", "torn line", "torn line with its end", "not metrics", "all", "empty"],
)
def test_cutting_keeps_the_lines_up_to_an_update(tmp_path: Path, content: bytes, after: int, left: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(content)
    cut_metrics(path, after=after)
    assert path.read_bytes() == left
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("to_validate", [False, True])
def test_a_validation_that_will_be_repeated_is_cut(tmp_path: Path, to_validate: bool) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"update": 20, "train/loss": 1.0}\n{"update": 20, "valid/nll": 2.0}\n')
    JsonLines(session=Session(tmp_path, 20, to_validate)).close()
    assert ["valid/nll" in line for line in read_metrics(path)] == ([False] if to_validate else [False, True])


@pytest.mark.parametrize(
    "line",
    [b'{"update": 1', b'{"update": "1"}', b'{"update": 1, "valid/nll": "x"}', b'{"update": 1, "x": []}', b"[" * 9000],
)
def test_an_invalid_line_is_skipped_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture, line: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"update": 1}\n' + line + b'\n{"update": 2}\n')
    assert read_metrics(path) == [{"update": 1}, {"update": 2}]
    assert f"{path}, line 2: skipped" in caplog.text
