"""A folder for the runs of a test."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any) -> None:
    """Runs go to tmp_path; the prepared data is shared by all tests."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".cache").symlink_to(tmp_path_factory.getbasetemp() / "cache")
    (tmp_path_factory.getbasetemp() / "cache").mkdir(exist_ok=True)
