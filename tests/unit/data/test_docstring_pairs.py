import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import active_children
from pathlib import Path

import pytest

from seq2seq.data import docstring_pairs
from seq2seq.data.docstring_pairs import Described, described_in

BODY = "It goes on for a while, so that there is something to summarize here."
CODE = f'''
class Lamp:
    def light(self, NAME):
        """Light the lamp of the house.

        {BODY}
        """
'''


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """40 files, the last of which is missing."""
    paths = [tmp_path / f"{i}.py" for i in range(40)]
    for path in paths[:-1]:
        path.write_text(CODE.replace("NAME", f"wick_{path.stem}") if path.stem != "7" else "def f(:")
    return paths


def test_every_file_has_its_own_in_order(files: list[Path]):
    found = list(described_in(files))
    assert found[3] == [Described("Lamp.light(wick_3)", "Light the lamp of the house.", BODY)]
    assert [i for i, given in enumerate(found) if given is None] == [7, 39]


def test_several_processes_find_what_one_finds(files: list[Path], monkeypatch: pytest.MonkeyPatch):
    alone = list(described_in(files))
    pools = []

    class Pool(ProcessPoolExecutor):
        def __init__(self, *given) -> None:
            super().__init__(*given)
            pools.append(self)

    monkeypatch.setattr(docstring_pairs, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(docstring_pairs, "FILES_A_PROCESS", 20)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert list(described_in(files)) == alone
    assert len(pools) == 1


def test_reading_may_end_early(files: list[Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(docstring_pairs, "FILES_A_PROCESS", 20)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    found = described_in(files)
    assert next(found)
    found.close()
    assert not active_children()


def test_a_process_needs_no_torch():
    code = "import sys, seq2seq.data.docstring_pairs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
