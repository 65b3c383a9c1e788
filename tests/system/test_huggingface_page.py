"""The commands of docs/huggingface.md work as written."""

from pathlib import Path

import pytest
from system.documents import blocks
from system.scripts import Finished
from system.test_readme import run_commands


@pytest.fixture(scope="module")
def executed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Finished]:
    """The results of the page's command blocks, in order."""
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("page")
    for name in ("scripts", "configs"):
        (folder / name).symlink_to(repository / name)
    tested = [block.commands for block in blocks(repository / "docs/huggingface.md") if not block.untested]
    return [run_commands(commands, folder) for commands in tested]


def test_every_command_succeeds(executed: list[Finished]) -> None:
    assert [finished.stderr for finished in executed if finished.rc] == []


def test_the_export_is_checked_translates_and_is_imported(executed: list[Finished]) -> None:
    written, translated, imported = executed
    assert "checked with 100 sentences of the run's valid data: equal outputs" in written.stderr
    assert len(translated.stdout.split("\n")[:-1]) == 2
    assert imported.stderr.count("starts from the weights and the tokenizer of the folder small-marian") == 2
