"""Runs the scripts as a user does: in a process of their own, with this Python, in any working directory."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


class Finished(NamedTuple):
    """How a script ended and what it wrote; both texts as UTF-8, their line ends untouched."""

    rc: int
    stdout: str
    stderr: str


def run_script(
    name: str,
    *args: str,
    cwd: Path,
    stdin: str | bytes = "",
    env: dict[str, str] | None = None,
    timeout: float = 300.0,
) -> Finished:
    """Run scripts/<name>.py with these arguments in `cwd`; `env` is added to this process's own environment.

    Raises subprocess.TimeoutExpired after `timeout` seconds.
    """
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / f"{name}.py"), *args],
        cwd=cwd,
        input=stdin if isinstance(stdin, bytes) else stdin.encode(),
        capture_output=True,
        env={**os.environ, **(env or {})},
        timeout=timeout,
        check=False,
    )
    return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())
