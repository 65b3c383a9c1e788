from pathlib import Path

import pytest

from seq2seq.checkpoint import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "demo")
