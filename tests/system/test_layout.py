"""The Makefile's help, the pinned versions and the change log are correct."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import seq2seq


def make(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=repository, env=outside, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="module")
def project(repository: Path) -> dict:
    return tomllib.loads((repository / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def pins(repository: Path) -> dict[str, str]:
    lines = (repository / "constraints.txt").read_text().split("\n")
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def test_make_without_a_target_lists_every_target(repository: Path) -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (repository / "Makefile").read_text(), flags=re.MULTILINE)
    assert phony is not None
    listed = [line.split()[1] for line in make(repository).stdout.strip().split("\n")]
    assert listed == phony[1].split()


def test_old_python_is_reported(repository: Path, tmp_path: Path) -> None:
    done = make(repository, "test", f"VENV={tmp_path}/venv", "PYTHON=false")
    assert done.returncode != 0
    assert 'seq2seq needs Python 3.11 or newer, which "false" is not.' in done.stdout
    assert not (tmp_path / "venv").exists()


def test_python_without_venv_is_reported(repository: Path, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\n[ "$1" = -c ]\n')
    python.chmod(0o755)
    done = make(repository, "test", f"VENV={tmp_path}/venv", f"PYTHON={python}")
    assert done.returncode != 0
    assert "pip downloads what it lacks of PyTorch" in done.stdout
    assert "make test TORCH_INDEX=URL" in done.stdout
    assert done.stdout.rstrip().endswith("On Debian and Ubuntu: apt install python3-venv")


def test_every_dependency_has_a_pin_within_its_bounds(project: dict, pins: dict[str, str]) -> None:
    optional = [text for texts in project["optional-dependencies"].values() for text in texts]
    for text in [*project["dependencies"], *optional]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), text
        assert {specifier.operator for specifier in requirement.specifier} == {">="}, f"{text}: lower bounds only"


def test_a_pin_is_a_plain_version(pins: dict[str, str]) -> None:
    """torch==2.13.0+cpu can be installed from only one index."""
    assert [f"{name}=={version}" for name, version in pins.items() if not re.fullmatch(r"[\d.]+", version)] == []


def test_change_log_has_this_version(repository: Path) -> None:
    assert f"## [{seq2seq.__version__}]" in (repository / "CHANGELOG.md").read_text()
