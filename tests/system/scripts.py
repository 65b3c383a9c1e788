"""Runs the scripts as a user does: each in its own process, in any working directory."""

import os
import runpy
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from forks import FORKS, as_started

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


class Finished(NamedTuple):
    """A script's exit code and its output, decoded as UTF-8 with unchanged line ends."""

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
    prepare: Callable[[], object] | None = None,
    killed_after: float | None = None,
) -> Finished:
    """Run scripts/<name>.py with these arguments in `cwd`; `env` is added to this process's environment.

    `prepare`, which can be pickled, is called in the new process before the script; after `killed_after` seconds the
    process is killed. A process ended by signal N has the exit code -N. Raises TimeoutError after `timeout` seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder, stream) for stream in ("stdin", "stdout", "stderr")]
        streams[0].write_bytes(stdin if isinstance(stdin, bytes) else stdin.encode())
        process = FORKS.Process(target=_run, args=(name, args, cwd, streams, {**os.environ, **(env or {})}, prepare))
        process.start()
        if killed_after is not None:
            process.join(killed_after)
            process.kill()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"{name} {' '.join(args)} was still running after {timeout} s")
        return Finished(process.exitcode, *(stream.read_bytes().decode(errors="replace") for stream in streams[1:]))


def _run(
    name: str,
    args: tuple[str, ...],
    cwd: Path,
    streams: list[Path],
    env: dict[str, str],
    prepare: Callable[[], object] | None,
) -> None:
    """Set up the streams, directory and environment of a new process, then run the script."""
    for descriptor, (path, mode) in enumerate(zip(streams, ("rb", "wb", "wb"), strict=True)):
        with path.open(mode) as stream:
            os.dup2(stream.fileno(), descriptor)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    as_started(cwd, env)
    script = SCRIPTS / f"{name}.py"
    sys.argv = [str(script), *args]
    if prepare is not None:
        prepare()
    runpy.run_path(str(script), run_name="__main__")
