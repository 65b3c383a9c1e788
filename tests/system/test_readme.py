"""The README's commands and the programs of the pages work as written."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from marian_folder import write_folder
from system.documents import blocks, first_column, links, python, trainings
from system.scripts import Finished

from seq2seq.commands.train import SCRIPT as train
from seq2seq.config.command_line.check import check
from seq2seq.config.problems import Mistakes

FLAGS = ("--help", "--cfg", "job")  # Hydra's own


def run_commands(commands: str, folder: Path) -> Finished:
    """Run commands in a shell that stops at the first failure; `python` is this Python."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-e"],
        cwd=folder,
        input=commands.encode(),
        capture_output=True,
        env={**os.environ, "PATH": path},
        timeout=300,
        check=False,
    )
    return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(scope="module")
def clone(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a fresh clone, without runs."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("scripts", "configs"):
        (folder / name).symlink_to(repository / name)
    return folder


@pytest.fixture(scope="module")
def executed(repository: Path, clone: Path) -> dict[str, Finished]:
    """The result of each command block of the README, by its text; they are executed in order."""
    return {
        block.commands: run_commands(block.commands, clone)
        for block in blocks(repository / "README.md")
        if not block.untested
    }


def outcome(executed: dict[str, Finished], words: str) -> Finished:
    """The result of the one block that contains these words."""
    (found,) = (finished for commands, finished in executed.items() if words in commands)
    return found


@pytest.mark.slow
def test_every_command_succeeds(executed: dict[str, Finished]) -> None:
    assert len(executed) >= 5
    assert [(commands, finished.stderr) for commands, finished in executed.items() if finished.rc] == []


@pytest.mark.slow
def test_the_example_learns_and_is_scored(executed: dict[str, Finished], clone: Path) -> None:
    scores = json.loads((clone / "runs/numbers/eval/test.json").read_bytes())
    assert scores["bleu"]["score"] > 90
    assert scores["bleu"]["signature"] in outcome(executed, "evaluate.py run=numbers").stdout


@pytest.mark.slow
def test_each_line_is_translated_to_one_line(executed: dict[str, Finished], clone: Path) -> None:
    assert outcome(executed, "echo '4320 ").stdout == "3234 2234 1234 0234\n"
    read, written = ((clone / "numbers" / name).read_bytes().count(b"\n") for name in ("test.src", "test.out"))
    assert read == written > 0


@pytest.mark.slow
def test_same_command_again_reports_a_finished_run(
    executed: dict[str, Finished], repository: Path, clone: Path
) -> None:
    (command,) = (commands for commands in executed if "train.py run=numbers " in commands)
    again = run_commands(command, clone)
    assert again.rc == 0
    assert "max_updates" in again.stderr
    raised = run_commands(command.replace("max_updates=200", "max_updates=201"), clone)
    assert raised.rc == 0
    assert (clone / "runs/numbers/checkpoints/step-201").is_dir()


@pytest.mark.slow
def test_training_writes_nothing_to_stdout(executed: dict[str, Finished]) -> None:
    assert outcome(executed, "train.py run=numbers ").stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize("page", ["python", "evaluation"])
def test_every_program_of_a_page_runs(repository: Path, clone: Path, page: str) -> None:
    program = clone / f"{page}.py"
    program.write_text(python(repository / "docs" / f"{page}.md"))
    done = run_commands(f"PYTHONPATH={repository} python {program}", clone)
    assert (done.rc, "Traceback" in done.stderr) == (0, False), done.stderr


def pages(repository: Path) -> Iterator[Path]:
    yield from sorted([*repository.glob("*.md"), *repository.glob("docs/**/*.md")])


def test_every_link_exists(repository: Path) -> None:
    dead = [
        (page.name, link) for page in pages(repository) for link in links(page) if not (page.parent / link).exists()
    ]
    assert dead == []


def test_every_documented_training_can_be_composed(repository: Path, tmp_path: Path) -> None:
    """Commands that are too slow to execute here: keys and choices exist, and combinations are legal. A small folder
    stands for those of Hugging Face."""
    shown = set().union(*(trainings(page) for page in pages(repository)))
    assert len(shown) >= 3
    here = f"init_from=hf:{write_folder(tmp_path)}"
    refused = {
        words: mistakes([here if word.startswith("init_from=hf:") else word for word in words]) for words in shown
    }
    assert {words: found for words, found in refused.items() if found} == {}


def mistakes(words: Sequence[str]) -> str:
    """The mistakes that `train.py` would report for a command line; empty if there are none."""
    try:
        train.load(check(train, [word for word in words if word not in FLAGS])[1])
    except Mistakes as found:
        return str(found)
    return ""


def test_attention_table_lists_all_choices(repository: Path) -> None:
    choices = {path.stem for path in (repository / "configs" / "attention").glob("*.yaml")}
    assert set(first_column(repository / "README.md", "`attention=`")) == choices


def test_shown_line_is_in_the_configuration(repository: Path) -> None:
    configured = (repository / "configs" / "train.yaml").read_text(encoding="utf-8").split("\n")
    shown = (repository / "README.md").read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    assert shown.split()
    assert [line for line in shown.rstrip("\n").split("\n") if line not in configured] == []
