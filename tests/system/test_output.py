"""A process whose output fails: its exit code, and what it says up to its very end."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("into", "code", "said"),
    [
        ("> /dev/full", 5, "cannot write to stdout: No space left on device. "),
        (">&-", 5, "cannot write to stdout: Bad file descriptor. "),
        ("| true", 141, ""),  # it has ended long before anything is written
        ("2>&-", 0, ""),
        ("2> /dev/full", 0, ""),
    ],
)
def test_output_that_fails(repository: Path, tmp_path: Path, into: str, code: int, said: str) -> None:
    command = f"set -o pipefail; '{sys.executable}' -m seq2seq --help {into}"
    found = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env={"PYTHONPATH": str(repository)}, capture_output=True, text=True
    )
    assert found.returncode == code
    assert found.stderr.startswith(said)
    assert found.stderr.count("\n") == (1 if said else 0)
