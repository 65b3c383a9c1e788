"""The counts of the campaigns in tests/faults: a table at the end of the tests, and a JSON file."""

import json
from pathlib import Path

import pytest

COUNT = "faults: "  # begins the name of a test's property that holds the counts of a campaign


class FaultTable:
    """Prints the counts of all campaigns at the end, and writes them to `file`. xdist's workers report to one table."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.rows: dict[str, dict[str, int]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the counts of a test."""
        if report.when == "call":
            for name, counts in report.user_properties:
                if name.startswith(COUNT):
                    self.rows[name.removeprefix(COUNT)] = json.loads(str(counts))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The table."""
        if self.rows:
            terminalreporter.write_sep("=", "faults")
        for name, counts in sorted(self.rows.items()):
            found = ", ".join(f"{what.replace('_', ' ')} {count:,}" for what, count in counts.items())
            terminalreporter.write_line(f"{name}: {found}")
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(json.dumps(self.rows, indent=1, sort_keys=True) + "\n", encoding="utf-8")
