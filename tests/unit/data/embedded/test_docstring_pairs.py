import subprocess
import sys
from pathlib import Path

import pytest

from seq2seq.data.embedded import docstring_pairs
from seq2seq.data.embedded.docstring_pairs import Described, described_in
from seq2seq.errors import DataError

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


def test_results_are_in_the_order_of_the_files(files: list[Path]):
    found = list(described_in(files))
    assert found[3] == [Described("Lamp.light(wick_3)", "Light the lamp of the house.", BODY)]
    assert [i for i, given in enumerate(found) if given is None] == [7, 39]


@pytest.fixture
def two_processes(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen]:
    """Divides the files between two processes; lists the processes that were started."""
    begun = []

    class Popen(subprocess.Popen):
        def __init__(self, *given, **named) -> None:
            super().__init__(*given, **named)
            begun.append(self)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    monkeypatch.setattr(docstring_pairs, "FILES_A_PROCESS", 20)
    monkeypatch.setattr(docstring_pairs, "usable_cores", lambda: 2)
    return begun


def test_several_processes_find_the_same_as_one(files: list[Path], two_processes: list[subprocess.Popen]):
    assert list(described_in(files)) == list(map(docstring_pairs._described, files))
    assert len(two_processes) == 2


def test_reading_may_end_early(files: list[Path], two_processes: list[subprocess.Popen]):
    found = described_in(files)
    assert next(found)
    found.close()
    assert all(process.returncode is not None for process in two_processes)


def test_process_that_dies_is_reported(files: list[Path], two_processes: list[subprocess.Popen]):
    found = described_in(files * 200)  # more lines than pipes hold
    next(found)
    for process in two_processes:
        process.kill()
    with pytest.raises(DataError, match=r"\.py: the process that reads docstrings has died"):
        list(found)


def test_process_that_does_not_start_is_reported(
    files: list[Path], two_processes: list[subprocess.Popen], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(docstring_pairs, "PROCESS", "raise SystemExit")
    with pytest.raises(DataError, match=r"0\.py: the process that reads docstrings has died"):
        list(described_in(files * 200))  # more names than pipes hold
    monkeypatch.setattr(sys, "executable", str(files[0]))
    with pytest.raises(DataError, match="no process can be started to read docstrings"):
        list(described_in(files))


def test_unexpected_output_of_a_process_is_reported(
    files: list[Path], two_processes: list[subprocess.Popen], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(docstring_pairs, "PROCESS", "print('hello')")
    with pytest.raises(DataError, match=r"0\.py: the process that reads docstrings answered 'hello'"):
        list(described_in(files))


def test_modules_of_the_working_directory_are_not_imported(
    files: list[Path], two_processes: list[subprocess.Popen], monkeypatch: pytest.MonkeyPatch
):
    (files[0].parent / "json.py").write_text("raise SystemExit")
    monkeypatch.chdir(files[0].parent)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    assert list(described_in(files)) == list(map(docstring_pairs._described, files))


def test_process_does_not_import_torch():
    code = "import sys, seq2seq.data.embedded.docstring_pairs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
