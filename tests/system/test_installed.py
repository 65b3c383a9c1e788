"""The package installed from its source distribution into an empty environment, outside the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from system.documents import blocks, files

BUILD = "from setuptools import build_meta; print(build_meta.build_sdist('dist'))"
SOURCE_FILES = ("seq2seq", "configs", "pyproject.toml", "setup.py", "README.md", "LICENSE")


def run(*command: str, cwd: Path, path: Path | None = None, stdin: str = "") -> str:
    """The stdout of a command that must succeed; it cannot import the checkout, and `path` is first in PATH."""
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SEQ2SEQ_EXTENSIONS")}
    env |= {"PATH": f"{path}{os.pathsep}{env['PATH']}"} if path else {}
    done = subprocess.run(command, cwd=cwd, input=stdin, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with seq2seq; all other packages come from the current environment."""
    pytest.importorskip("setuptools", minversion="77")
    source, environment = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("environment")
    for name in SOURCE_FILES:
        if (repository / name).is_dir():
            shutil.copytree(repository / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(repository / name, source / name)
    archive = run(sys.executable, "-c", BUILD, cwd=source).strip().split("\n")[-1]
    run(sys.executable, "-m", "venv", "--without-pip", str(environment), cwd=environment)
    python = str(environment / "bin/python")
    own = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=environment).strip()
    # In a folder added by a .pth file, other .pth files are not read: the checkout cannot be imported.
    (Path(own) / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, f"dist/{archive}", cwd=source)
    return environment / "bin"


@pytest.mark.slow
def test_user_class_and_choices_in_another_folder(repository: Path, installed: Path, tmp_path: Path) -> None:
    page = repository / "docs/adding-an-attention.md"
    for name, content in files(page).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (block,) = blocks(page)
    assert run("sh", "-e", cwd=tmp_path, path=installed, stdin="seq2seq --version\n").startswith("seq2seq ")
    out = run("sh", "-e", cwd=tmp_path, path=installed, stdin=block.commands)
    assert "bleu" in out
    assert (tmp_path / "runs/own/eval/test.json").is_file()
    assert "my_package.attention.TanhGeneralAttention" in (tmp_path / "runs/own/config.yaml").read_text()
    assert {path.name for path in tmp_path.iterdir()} <= {"my_package", "mine", "runs", ".cache"}
