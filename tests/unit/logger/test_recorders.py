"""Several recorders: each gets all calls, all are closed after an error, a resumed record equals a whole one."""

import resource
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from event_files import points

from seq2seq.errors import StorageError
from seq2seq.logger.base import Recorder, Recorders, Session
from seq2seq.logger.jsonl import JsonLines, read_metrics
from seq2seq.logger.tensorboard import TensorBoard

BOTH = (JsonLines, TensorBoard)


class Noted(Recorder):
    """Notes every call; the call that `fails` names raises an error."""

    def __init__(self, calls: list[tuple], name: str, fails: str, *, session: Session) -> None:
        self.calls, self.name, self.fails = calls, name, fails
        self.note("begin", session)

    def note(self, *call: object) -> None:
        self.calls.append((self.name, *call))
        if call[0] == self.fails:
            raise OSError("gone")

    def scalars(self, update: int, values: Mapping[str, float]) -> None:
        self.note("scalars", update, values)

    def text(self, update: int, tag: str, markdown: str) -> None:
        self.note("text", update, tag, markdown)

    def image(self, update: int, tag: str, pixels: np.ndarray) -> None:
        self.note("image", update, tag, pixels.shape)

    def hyperparameters(self, flat: Mapping, metrics: list[str]) -> None:
        self.note("hyperparameters", flat, metrics)

    def close(self) -> None:
        self.note("close")


def noted(calls: list[tuple], name: str, fails: str = "") -> Callable[..., Recorder]:
    return lambda session: Noted(calls, name, fails, session=session)


def test_each_recorder_gets_all_calls_in_order(tmp_path: Path) -> None:
    calls: list[tuple] = []
    session = Session(tmp_path, update=20, to_validate=True)
    with closing(Recorders(session=session, makers=[noted(calls, "a"), noted(calls, "b")])) as recorders:
        recorders.hyperparameters({"seed": 1}, ["valid/bleu"])
        recorders.scalars(30, {"train/loss": 1.0})
        recorders.text(40, "samples", "*a*")
        recorders.image(40, "attention", np.zeros((2, 3, 3), np.uint8))
    expected = [
        ("begin", session),
        ("hyperparameters", {"seed": 1}, ["valid/bleu"]),
        ("scalars", 30, {"train/loss": 1.0}),
        ("text", 40, "samples", "*a*"),
        ("image", 40, "attention", (2, 3, 3)),
        ("close",),
    ]
    assert calls == [(name, *call) for call in expected for name in "ab"]


def test_without_recorders_nothing_is_written(tmp_path: Path) -> None:
    with closing(Recorders(session=Session(tmp_path))) as recorders:
        recorders.hyperparameters({"seed": 1}, ["valid/bleu"])
        recorders.scalars(30, {"train/loss": 1.0})
        recorders.text(40, "samples", "*a*")
        recorders.image(40, "attention", np.zeros((2, 3, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing", ["a", "b", "c"])
def test_all_are_closed_even_if_one_fails(tmp_path: Path, failing: str, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[tuple] = []
    makers = [noted(calls, name, "close" if name == failing else "") for name in "abc"]
    recorders = Recorders(session=Session(tmp_path), makers=makers)
    recorders.close()
    assert [name for name, call, *_ in calls if call == "close"] == ["a", "b", "c"]
    assert caplog.messages == [f"Noted cannot write the log of run {tmp_path}: gone; its last figures are missing"]


@pytest.mark.parametrize("failing", ["scalars", "text", "image", "hyperparameters"])
def test_a_failing_recorder_is_reported_once_and_stops_nothing(
    tmp_path: Path, failing: str, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[tuple] = []
    with closing(Recorders(session=Session(tmp_path), makers=[noted(calls, "a", failing), noted(calls, "b")])) as both:
        for update in range(3):
            both.hyperparameters({}, [])
            both.scalars(update, {})
            both.text(update, "samples", "")
            both.image(update, "attention", np.zeros((1, 1, 3), np.uint8))
    assert [call for call in calls if call[0] == "b"] == [("b", *call[1:]) for call in calls if call[0] == "a"]
    assert [message.partition(": gone; ")[0] for message in caplog.messages] == [
        f"Noted cannot write the log of run {tmp_path}"
    ]


def test_started_recorders_are_closed_if_the_next_cannot_start(tmp_path: Path) -> None:
    calls: list[tuple] = []
    makers = [noted(calls, "a"), noted(calls, "b", "begin"), noted(calls, "c")]
    with pytest.raises(StorageError, match=f"cannot write the log of run {tmp_path}: gone"):
        Recorders(session=Session(tmp_path), makers=makers)
    assert [(name, call) for name, call, *_ in calls] == [("a", "begin"), ("b", "begin"), ("a", "close")]


def write(folder: Path, *, after: int, until: int) -> None:
    """A session that logs every 10 updates and validates every 20."""
    with closing(Recorders(session=Session(folder, after), makers=BOTH)) as recorders:
        for update in range(after + 10, until + 1, 10):
            recorders.scalars(update, {"train/loss": 100.0 / update, "train/lr": 1e-3})
            if update % 20 == 0:
                recorders.scalars(update, {"valid/bleu": update / 4})


def test_the_same_numbers_are_in_both(tmp_path: Path) -> None:
    write(tmp_path, after=0, until=40)
    assert read_metrics(tmp_path / "metrics.jsonl")[0] == {"update": 10, "train/loss": 10.0, "train/lr": 1e-3}
    for tag in ("train/loss", "valid/bleu"):
        lines = [
            (line["update"], round(line[tag], 5)) for line in read_metrics(tmp_path / "metrics.jsonl") if tag in line
        ]
        assert lines == points(tmp_path, tag)
    assert points(tmp_path, "valid/bleu") == [(20, 5.0), (40, 10.0)]


@pytest.mark.parametrize("resumed_at", [0, 20, 30])
def test_a_resumed_record_equals_an_uninterrupted_one(tmp_path: Path, resumed_at: int) -> None:
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    write(whole, after=0, until=80)
    write(resumed, after=0, until=50)
    write(resumed, after=resumed_at, until=80)
    assert (resumed / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    for tag in ("train/loss", "valid/bleu"):
        assert points(resumed, tag) == points(whole, tag)


def test_a_killed_session_leaves_its_lines_on_disk(tmp_path: Path) -> None:
    recorders = Recorders(session=Session(tmp_path), makers=BOTH)
    recorders.scalars(1, {"train/loss": 1.5})
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"update": 1, "train/loss": 1.5}]
    assert points(tmp_path, "train/loss") == [(1, 1.5)]
    recorders.close()


@pytest.mark.parametrize("maker", BOTH)
def test_an_unwritable_folder_is_a_storage_error(tmp_path: Path, maker: type[Recorder]) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"cannot write the log of run .*file/run: Not a directory") as caught:
        Recorders(session=Session(tmp_path / "file" / "run"), makers=[maker])
    assert caught.value.exit_code == 5


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Limit files to `size` bytes: the system refuses longer ones, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 60, 200, 2000, 20_000])
def test_a_full_disk_loses_nothing_once_there_is_room(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, size: int
) -> None:
    """Whichever event is the first that does not fit, or fits in part."""
    threads = threading.active_count()
    with closing(Recorders(session=Session(tmp_path), makers=BOTH)) as recorders:
        for updates, limit in ((range(1, 100), size), (range(100, 102), resource.RLIM_INFINITY)):
            with file_size_limit(limit):
                for update in updates:
                    recorders.text(update, "samples", "text" * update)
                    recorders.scalars(update, {"train/loss": 1.0})
    assert threading.active_count() <= threads
    assert capfd.readouterr() == ("", "")
    assert len(caplog.messages) == (2 if size < 20_000 else 1)
    assert all("cannot write the log of run" in line and "File too large" in line for line in caplog.messages)
    assert [line["update"] for line in read_metrics(tmp_path / "metrics.jsonl")] == list(range(1, 102))
    assert points(tmp_path, "train/loss") == [(update, 1.0) for update in range(1, 102)]


def test_what_never_could_be_written_is_reported_when_closing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorders = Recorders(session=Session(tmp_path), makers=[JsonLines])
    with file_size_limit(50):
        recorders.scalars(1, {"train/loss": 1.0})
        recorders.scalars(2, {"train/loss": 1.0})
        recorders.close()
    assert [message.rpartition("; ")[2] for message in caplog.messages] == [
        "the run goes on, and its next figures are written if that is possible again",
        "its last figures are missing",
    ]


def test_a_validation_that_is_repeated_is_recorded_once(tmp_path: Path) -> None:
    """The last session was killed after it had logged the validation, and before its state was stored."""
    for session, valid in ((Session(tmp_path), 1.0), (Session(tmp_path, 20, to_validate=True), 2.0)):
        with closing(Recorders(session=session, makers=BOTH)) as recorders:
            if session.update == 0:
                recorders.scalars(10, {"train/loss": 5.0})
                recorders.scalars(20, {"train/loss": 4.0, "train/nll": float("nan")})
            recorders.scalars(20, {"valid/nll": valid})
    assert [line["update"] for line in read_metrics(tmp_path / "metrics.jsonl")] == [10, 20, 20]
    assert points(tmp_path, "train/loss") == [(10, 5.0), (20, 4.0)]
    assert points(tmp_path, "valid/nll") == [(20, 2.0)]
    assert [step for step, _ in points(tmp_path, "train/nll")] == [20]
