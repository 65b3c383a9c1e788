"""metrics.jsonl and the event files: the same numbers in both, and a resumed run's equal an uninterrupted one's."""

import json
import resource
import threading
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seq2seq.errors import StorageError
from seq2seq.reporting.figures import render
from seq2seq.reporting.recorder import Recorder, cut_metrics, metrics_line, read_metrics


def board(folder: Path) -> EventAccumulator:
    """What TensorBoard reads in the run folder."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0, "images": 0})
    return events.Reload()


def points(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, round(event.value, 5)) for event in board(folder).Scalars(tag)]


def write(folder: Path, *, after: int, until: int) -> None:
    """A session that logs every 10 updates and validates every 20."""
    book = Recorder(folder, update=after)
    for update in range(after + 10, until + 1, 10):
        book.scalars(update, {"train/loss": 100.0 / update, "train/lr": 1e-3})
        if update % 20 == 0:
            book.scalars(update, {"valid/bleu": update / 4})
    book.close()


def test_the_same_numbers_stand_in_both(tmp_path: Path) -> None:
    write(tmp_path, after=0, until=40)
    assert read_metrics(tmp_path / "metrics.jsonl")[0] == {"update": 10, "train/loss": 10.0, "train/lr": 1e-3}
    for tag in ("train/loss", "valid/bleu"):
        lines = [
            (line["update"], round(line[tag], 5)) for line in read_metrics(tmp_path / "metrics.jsonl") if tag in line
        ]
        assert lines == points(tmp_path, tag)
    assert points(tmp_path, "valid/bleu") == [(20, 5.0), (40, 10.0)]


def test_the_event_files_lie_in_the_run_folder_itself(tmp_path: Path) -> None:
    write(tmp_path, after=0, until=10)
    assert {path.name.split(".")[0] for path in tmp_path.iterdir()} == {"metrics", "events"}


@pytest.mark.parametrize("resumed_at", [0, 20, 30])
def test_a_resumed_run_reads_as_if_it_had_never_stopped(tmp_path: Path, resumed_at: int) -> None:
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    write(whole, after=0, until=80)
    write(resumed, after=0, until=50)
    write(resumed, after=resumed_at, until=80)
    assert (resumed / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    for tag in ("train/loss", "valid/bleu"):
        assert points(resumed, tag) == points(whole, tag)


def test_a_killed_session_leaves_its_lines_on_disk(tmp_path: Path) -> None:
    book = Recorder(tmp_path, update=0)
    book.scalars(1, {"train/loss": 1.5})
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"update": 1, "train/loss": 1.5}]
    assert points(tmp_path, "train/loss") == [(1, 1.5)]
    book.close()


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
    ids=["later lines", "nothing to cut", "torn line", "torn line with its end", "not metrics", "afresh", "empty"],
)
def test_cutting_keeps_the_lines_up_to_an_update(tmp_path: Path, content: bytes, after: int, left: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(content)
    cut_metrics(path, after=after)
    assert path.read_bytes() == left
    assert list(tmp_path.iterdir()) == [path]


def test_a_line_that_is_not_metrics_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"update": 1}\n{"update": 1\n{"update": 2}\n')
    assert read_metrics(path) == [{"update": 1}, {"update": 2}]
    assert f"{path}, line 2: left out" in caplog.text


def test_texts_and_figures_stand_at_their_update(tmp_path: Path) -> None:
    book = Recorder(tmp_path, update=0)
    book.text(30, "samples", "| a |")
    figure = Figure(figsize=(2, 1), dpi=50)
    figure.text(0, 0, "漢")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        book.image(30, "attention/1", render(figure))
    book.close()
    events = board(tmp_path)
    (text,) = events.Tensors("samples/text_summary")
    (image,) = events.Images("attention/1")
    assert (text.step, text.tensor_proto.string_val[0]) == (30, b"| a |")
    assert (image.step, image.width, image.height) == (30, 100, 50)


def test_hyperparameters_put_no_point_on_a_curve(tmp_path: Path) -> None:
    book = Recorder(tmp_path, update=0)
    settings = {"seed": 1, "encoder": "lstm", "tie": None, "deterministic": True, "sizes": [1, 2], "lr": 0.5}
    settings |= {"file": "lat\udce9in", "files": ["\udce9"]}
    book.hyperparameters(settings, ["valid/bleu"])
    book.scalars(20, {"valid/bleu": 12.5})
    book.close()
    assert points(tmp_path, "valid/bleu") == [(20, 12.5)]
    (started,) = (data for tag, data in hparams_data(tmp_path).items() if tag.endswith("session_start_info"))
    shown = {
        name: value.string_value or value.number_value for name, value in started.session_start_info.hparams.items()
    }
    as_text = {
        "tie": "null",
        "deterministic": "true",
        "sizes": "[1, 2]",
        "file": r"lat\udce9in",
        "files": r'["\udce9"]',
    }
    assert shown == {"seed": 1, "encoder": "lstm", "lr": 0.5} | as_text


def hparams_data(folder: Path) -> dict:
    """What TensorBoard's HPARAMS page reads: its messages by their tags."""
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    content = board(folder).PluginTagToContent("hparams")
    return {tag: HParamsPluginData.FromString(data) for tag, data in content.items()}


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"cannot write the log of run .*file/run: Not a directory") as caught:
        Recorder(tmp_path / "file" / "run", update=0)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("size", [0, 60, 200, 2000])
def test_a_full_disk_is_one_error_and_nothing_is_printed_beside_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], size: int
) -> None:
    """Whichever event no longer fits; TensorBoard reads those that did."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        with pytest.raises(StorageError, match=r"cannot write the log of run .*: File too large"):
            book = Recorder(tmp_path, update=0)
            with closing(book):
                for update in range(1000):
                    book.text(update, "samples", "text" * update)
                    book.scalars(update, {"train/loss": 1.0})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert threading.active_count() == 1
    assert capfd.readouterr() == ("", "")
    if size == 2000:
        assert len(points(tmp_path, "train/loss")) > 3
