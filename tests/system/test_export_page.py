"""The commands of docs/export.md work as written."""

import json
import shutil
from pathlib import Path

import pytest
from system.documents import blocks
from system.scripts import Finished
from system.test_readme import run_commands


@pytest.fixture(scope="module")
def folder(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("ctranslate2")
    folder = tmp_path_factory.mktemp("page")
    for name in ("scripts", "configs"):
        (folder / name).symlink_to(repository / name)
    return folder


@pytest.fixture(scope="module")
def executed(repository: Path, folder: Path) -> dict[str, Finished]:
    """The result of each command block, by its text, in order."""
    return {block.commands: run_commands(block.commands, folder) for block in blocks(repository / "docs/export.md")}


def test_every_command_succeeds(executed: dict[str, Finished]) -> None:
    assert len(executed) >= 4
    assert [(commands, finished.stderr) for commands, finished in executed.items() if finished.rc] == []


def test_both_exports_are_checked(executed: dict[str, Finished], folder: Path) -> None:
    (written,) = (finished for commands, finished in executed.items() if "scripts/export.py" in commands)
    assert written.stdout == ""
    assert written.stderr.count("checked with 100 sentences of the run's valid data: equal outputs") == 2
    assert "with the chosen precision" in written.stderr
    assert json.loads((folder / "small-int8/export.json").read_bytes())["arguments"]["quantization"] == "int8"


def test_engine_writes_its_own_results(executed: dict[str, Finished], folder: Path) -> None:
    (found,) = (finished for commands, finished in executed.items() if "scripts/evaluate.py" in commands)
    assert found.stdout.count("\n") > 3
    results = json.loads((folder / "runs/small/eval/test-engine=ctranslate2.json").read_bytes())
    assert results["engine"] == "ctranslate2"
    assert (folder / "runs/small/export/ctranslate2-quantization=int8/model.bin").is_file()


def test_a_folder_of_exports_can_be_copied(executed: dict[str, Finished], folder: Path, tmp_path: Path) -> None:
    """It needs nothing of the run."""
    import ctranslate2

    shutil.copytree(folder / "small-int8", tmp_path / "copy")
    translator = ctranslate2.Translator(str(tmp_path / "copy"))
    assert translator.translate_batch([["▁in", "▁"]], max_decoding_length=5)
