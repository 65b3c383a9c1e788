"""A process that cannot write its output: exit code and stderr."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("redirection", "code", "message"),
    [
        ("> /dev/full", 5, "cannot write to stdout: No space left on device. "),
        (">&-", 5, "cannot write to stdout: Bad file descriptor. "),
        ("| true", 141, ""),  # true ends before anything is written
        ("2>&-", 0, ""),
        ("2> /dev/full", 0, ""),
    ],
)
def test_output_that_cannot_be_written(
    repository: Path, tmp_path: Path, redirection: str, code: int, message: str
) -> None:
    command = f"set -o pipefail; '{sys.executable}' -m seq2seq --help {redirection}"
    found = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env={"PYTHONPATH": str(repository)}, capture_output=True, text=True
    )
    assert found.returncode == code
    assert found.stderr.startswith(message)
    assert found.stderr.count("\n") == (1 if message else 0)
