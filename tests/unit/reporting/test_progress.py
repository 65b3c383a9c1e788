"""The time left respects both limits; without a terminal there are plain lines; the table marks the best."""

import io
import logging
import sys

import pytest
from rich.console import Console

from seq2seq.reporting import progress
from seq2seq.reporting.progress import Clock, Progress, clock_text, counting, validation_table


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A fake clock: seconds[0] is the current time."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("total", "minutes", "start", "elapsed", "update", "session", "left"),
    [
        (100, None, 0, 0.0, 20, 10.0, 40.0),
        (100, None, 60, 5.0, 80, 10.0, 10.0),
        (None, 2.0, 0, 0.0, 20, 10.0, 110.0),
        (None, 2.0, 50, 1.5, 60, 10.0, 20.0),
        (100, 2.0, 0, 0.0, 20, 10.0, 40.0),
        (100, 0.5, 0, 0.0, 20, 10.0, 20.0),
        (100, 2.0, 0, 0.0, 0, 10.0, 110.0),
        (100, None, 0, 0.0, 0, 10.0, None),
        (100, None, 100, 1.0, 100, 0.0, 0.0),
        (None, 1.0, 0, 0.0, 5, 90.0, 0.0),
        (None, None, 0, 0.0, 5, 90.0, None),
    ],
)
def test_the_time_left_is_that_of_the_nearer_limit(
    seconds: list[float],
    total: int | None,
    minutes: float | None,
    start: int,
    elapsed: float,
    update: int,
    session: float,
    left: float | None,
) -> None:
    clock = Clock(total, minutes, start, elapsed)
    clock.start()
    clock.update = update
    seconds[0] += session
    assert clock.seconds_left() == left


@pytest.mark.parametrize(
    ("total", "minutes", "elapsed", "update", "share"),
    [
        (100, None, 0.0, 25, 0.25),
        (100, 1.0, 0.5, 25, 0.5),
        (100, 10.0, 1.0, 25, 0.25),
        (None, None, 0.0, 9, 0.0),
        (10, None, 0.0, 12, 1.0),
    ],
)
def test_the_bar_shows_the_share_of_the_nearer_limit(
    seconds: list[float], total: int | None, minutes: float | None, elapsed: float, update: int, share: float
) -> None:
    clock = Clock(total, minutes, 0, elapsed)
    clock.update = update
    assert clock.share() == share


@pytest.mark.parametrize(
    ("length", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3600, "1:00:00"), (36061, "10:01:01")]
)
def test_durations_are_written_with_colons(length: float, text: str) -> None:
    assert clock_text(length) == text


def report(shown: Progress) -> None:
    """The reports of a short run."""
    with shown:
        shown.note("12 pairs dropped [bold]")
        shown.update(1, {})
        shown.update(50, {"train/epoch": 0.5, "train/loss": 2.5, "train/tokens_per_second": 23456.7})
        shown.validated(50, {"train/nll": 2.25, "valid/nll": 2.0, "valid/bleu": 31.234}, best=True)
        shown.update(100, {"train/loss": float("nan")})
        shown.validated(100, {"valid/bleu": 30.0}, best=False)


def test_without_a_terminal_there_are_plain_lines(
    seconds: list[float], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    report(Progress(100, None, 0, 0.0))
    assert [record.getMessage() for record in caplog.records] == [
        "12 pairs dropped [bold]",
        "update 50/100: train/epoch 0.5, train/loss 2.500, train/tokens_per_second 23,457, 0:00 left",
        "validation at update 50: train/nll 2.250, valid/nll 2.000, valid/bleu 31.23 (best so far)",
        "update 100/100: train/loss nan, 0:00 left",
        "validation at update 100: valid/bleu 30.00",
    ]
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    """A stderr whose `isatty` is True."""

    def isatty(self) -> bool:
        return True


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, term: str) -> Terminal:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    for name, value in {"TERM": term, "COLUMNS": "120", "LINES": "40"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return terminal


def test_on_a_terminal_there_are_a_bar_and_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch, "xterm-256color")
    report(Progress(100, None, 0, 0.0))
    written = terminal.getvalue()
    assert "12 pairs dropped [bold]" in written
    assert "update 100/100" in written
    assert "loss nan" in written
    assert "\x1b[?25h" in written, "the cursor is shown again"
    assert "31.23" in written and "best" in written


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    terminal = on_a_terminal(monkeypatch, "dumb")
    report(Progress(100, None, 0, 0.0))
    assert terminal.getvalue() == ""
    assert len(caplog.records) == 5


def test_a_log_line_is_written_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch, "xterm-256color")
    handler = logging.StreamHandler(terminal)
    logging.getLogger().addHandler(handler)
    try:
        with Progress(100, None, 0, 0.0):
            assert handler.stream is not terminal
            logging.getLogger("other").warning("a pair was dropped")
        assert handler.stream is terminal
        assert "a pair was dropped\n" in terminal.getvalue()
    finally:
        logging.getLogger().removeHandler(handler)


def test_a_failing_run_restores_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch, "xterm-256color")
    with pytest.raises(RuntimeError, match="out of luck"), Progress(100, None, 0, 0.0):
        raise RuntimeError("out of luck")
    hidden, shown = (terminal.getvalue().rfind(f"\x1b[?25{end}") for end in "lh")
    assert -1 < hidden < shown, "the cursor is shown again"
    assert sys.stderr is terminal


def test_work_of_known_size_is_one_line_without_a_terminal(
    seconds: list[float], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    with counting("decoding", 1200, "sentences") as count:
        count(1200)
        seconds[0] += 4.0
    assert caplog.messages == ["decoding: 1,200 sentences in 4.0 s, 300.0 per second"]
    assert capsys.readouterr() == ("", "")


def test_work_of_known_size_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch, "xterm-256color")
    with counting("decoding", 1200, "sentences") as count:
        for _ in range(3):
            count(400)
    assert "decoding" in terminal.getvalue()
    assert "1200/1200" in terminal.getvalue()


def lines_of(validations: list[tuple[int, dict[str, float]]], best: int | None) -> list[list[str]]:
    """The table's rows as words."""
    console = Console(file=io.StringIO(), width=100)
    console.print(validation_table(validations, best))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return [words for line in text.split("\n") if (words := line.split()) and not line.strip().startswith("─")]


def test_the_table_has_one_column_per_tag_and_marks_the_best() -> None:
    assert lines_of([(50, {"valid/nll": 2.0}), (1000, {"valid/nll": 1.5, "valid/bleu": 31.0})], best=50) == [
        ["update", "valid/nll", "valid/bleu"],
        ["50", "2.000", "best"],
        ["1,000", "1.500", "31.00"],
    ]


def test_a_long_table_keeps_the_best_and_the_latest() -> None:
    validations = [(update, {"valid/bleu": float(update == 20)}) for update in range(10, 210, 10)]
    updates = [row[0] for row in lines_of(validations, best=20)[1:]]
    assert updates == ["20", *(str(update) for update in range(130, 210, 10))]
