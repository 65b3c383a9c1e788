from pathlib import Path

import pytest

from seq2seq.checkpoint import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    (tmp_path / "demo").mkdir()
    return RunFolder(tmp_path / "demo")
