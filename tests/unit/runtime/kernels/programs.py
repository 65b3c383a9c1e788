"""Programs that interpret or compile kernels: separate processes, as Triton reads its settings when imported."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

needs_triton = pytest.mark.skipif(
    find_spec("triton") is None, reason="needs Triton, which comes with torch's CUDA builds (torch 2.13: triton==3.7.1)"
)


def printed(program: Path, command: str, repository: Path, folder: Path, **environment: str) -> Any:
    """The JSON that the program prints for this command; compiled kernels go to `folder`."""
    paths = os.pathsep.join((str(repository), str(repository / "tests")))
    environment = {**os.environ, "PYTHONPATH": paths, "TRITON_CACHE_DIR": str(folder), **environment}
    words = [sys.executable, str(program), command]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
