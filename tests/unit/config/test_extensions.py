"""User classes: used if the user has allowed their package, otherwise not even imported."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from seq2seq.config import extensions, targets
from seq2seq.config.command_line.check import check
from seq2seq.config.command_line.script import Script
from seq2seq.config.composition import compose
from seq2seq.config.loading import load_own, load_stored
from seq2seq.config.problems import Mistakes
from seq2seq.config.schema import CompareSettings, TrainSettings
from seq2seq.config.stored_run import diff, effective_settings, read_config, write_config

MODULE = """
import os
from pathlib import Path
from seq2seq.types import Component

Path("imported").touch()


class Mine(Component):
    def __init__(self, *, width: int) -> None:
        self.width = width


class Stray:
    pass


class Unreadable(Component):
    def __init__(self, *, width: "Nothing") -> None:
        pass
"""
TRUST = (
    "run=one: some of its parts are classes of my_package, which is not part of seq2seq and would be executed. If "
    "you trust it, type extensions=[my_package] or set SEQ2SEQ_EXTENSIONS=my_package"
)


@pytest.fixture(autouse=True)
def own(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package `my_package` in the working directory, and a choice of its attention, `mine`."""
    monkeypatch.delenv(extensions.VARIABLE, raising=False)
    before = extensions._TYPED.set(())
    monkeypatch.setattr(sys, "path", [*sys.path])
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "attention.py").write_text(MODULE)
    (package / "broken.py").write_text("import numpy\nprint(1 / 0)\n")
    (package / "elsewhere.py").write_text("from sample_parts import Small\n")
    (folder / "attention/mine.yaml").write_text("_target_: my_package.attention.Mine\n_partial_: true\nwidth: 3\n")
    yield package
    extensions._TYPED.reset(before)
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_package"]:
        del sys.modules[name]


def load(script: Script, *words: str) -> TrainSettings:
    loaded = script.load(check(script, words)[1])
    return loaded[1] if isinstance(loaded, tuple) else loaded


def mistakes(script: Script, *words: str) -> tuple[str, ...]:
    with pytest.raises(Mistakes) as found:
        load(script, *words)
    return found.value.lines


def new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reset everything, as in a new process."""
    extensions._TYPED.set(())
    Path("imported").unlink(missing_ok=True)
    sys.modules.pop("my_package.attention", None)


@pytest.fixture(autouse=True)
def any_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small parts of these tests do not derive from the classes of real parts."""
    monkeypatch.setattr(targets, "KINDS", {})


@pytest.fixture
def run(train: Script, monkeypatch: pytest.MonkeyPatch) -> TrainSettings:
    """A stored run with the user's class."""
    settings = load(train, "attention=mine", "extensions=[my_package]", "run=one")
    write_config(effective_settings(settings, None), Path("runs/one/config.yaml"))
    new_process(monkeypatch)
    return settings


def test_class_of_an_allowed_package_is_a_part(train: Script) -> None:
    settings = load(train, "attention=mine", "extensions=[my_package]", "attention.width=4")
    assert (settings.attention.name, settings.attention.target.__name__) == ("mine", "Mine")
    assert settings.attention.arguments == {"width": 4}
    assert settings.plain["extensions"] == settings.extensions == ["my_package"]
    lines = mistakes(train, "attention=mine", "extensions=[my_package]", "attention.widht=4")
    assert lines == ("attention.widht=4: no such key; did you mean width? attention=mine takes: width",)


def test_experiment_or_environment_may_allow_a_package(
    train: Script, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "experiment/own/mine.yaml"
    path.parent.mkdir(parents=True)
    text = "# @package _global_\ndefaults:\n  - override /attention: mine\nextensions: [my_package]\n"
    path.write_text(text)
    assert load(train, "experiment=own/mine", "attention.width=4").extensions == ["my_package"]
    new_process(monkeypatch)
    monkeypatch.setenv(extensions.VARIABLE, "another, my_package")
    assert load(train, "attention=mine").extensions == ["another", "my_package"]


def test_the_working_directory_is_searched_last(train: Script) -> None:
    load(train, "attention=mine", "extensions=[my_package]")
    assert sys.path.index(str(Path.cwd())) == len(sys.path) - 1


def test_package_that_is_not_allowed_is_not_imported(train: Script) -> None:
    (line,) = mistakes(train, "attention=mine")
    assert line.startswith(
        "configs/attention/mine.yaml:1: attention._target_: 'my_package.attention.Mine' is not allowed"
    )
    assert "(of your own package: extensions=[PACKAGE])" in line
    assert not Path("imported").exists()


@pytest.mark.parametrize(
    ("word", "line"),
    [
        (
            "[my_pakage]",
            "extensions[0]: there is no package my_pakage in the working directory or in Python's environment",
        ),
        ("[os]", "extensions[0]: expected the name of a Python package of your own, got 'os'"),
        ("[seq2seq]", "extensions[0]: expected the name of a Python package of your own, got 'seq2seq'"),
        ("['/tmp/mine']", "extensions[0]: expected the name of a Python package of your own, got '/tmp/mine'"),
        ("my_package", "expected a list, each item text, got 'my_package'"),
    ],
)
def test_invalid_package_names_are_refused(train: Script, word: str, line: str) -> None:
    found = mistakes(train, f"extensions={word}")
    assert found == (f"extensions={word}: {line}",)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("attention.Stray", "my_package.attention.Stray is not a component"),
        ("attention.Minne", "module my_package.attention has no class Minne; did you mean Mine?"),
        ("attention.Unreadable", "my_package.attention.Unreadable: its constructor cannot be read: NameError"),
        ("atention.Mine", "there is no module my_package.atention"),
        ("broken.Mine", "/my_package/broken.py:2: ZeroDivisionError: division by zero"),
        ("attention.os.system", "there is no module my_package.attention.os"),
    ],
)
def test_classes_of_an_allowed_package_are_still_checked(
    train: Script, folder: Path, target: str, message: str
) -> None:
    (folder / "attention/mine.yaml").write_text(f"_target_: my_package.{target}\n_partial_: true\nwidth: 3\n")
    (line,) = mistakes(train, "attention=mine", "extensions=[my_package]")
    assert line.startswith("configs/attention/mine.yaml:1: attention._target_: ")
    assert message in line


def test_class_belongs_to_the_package_that_defines_it(
    train: Script, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "attention/mine.yaml").write_text("_target_: my_package.elsewhere.Small\n_partial_: true\ndropout: 0.0\n")
    assert load(train, "attention=mine", "extensions=[my_package]").attention.target.__name__ == "Small"
    with pytest.raises(ValueError, match=r"is sample_parts\.Small, and that package is not allowed"):
        targets.Targets().resolve("my_package.elsewhere.Small")


def test_packages_listed_in_a_stored_run_are_not_imported(
    evaluate: Script, translate: Script, run: TrainSettings
) -> None:
    assert read_config(Path("runs/one/config.yaml"))["extensions"] == ["my_package"]
    for script in (evaluate, translate):
        assert mistakes(script, "run=one") == (TRUST,)
        assert mistakes(script, "run=one", "search.beam_size=2", "sead=1")[0] == TRUST
    extensions.allow(["sample_parts"])  # the package of the other parts of these tests
    with pytest.raises(Mistakes) as found:
        load_stored("one", key="ensemble")
    assert found.value.lines == (TRUST.replace("run=", "ensemble=", 1),)
    assert not Path("imported").exists()


def test_command_line_or_environment_may_allow_the_package_of_a_run(
    evaluate: Script, run: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load(evaluate, "run=one", "extensions=[my_package]", "search.beam_size=2")
    assert (loaded.attention.target.__name__, loaded.search.arguments["beam_size"]) == ("Mine", 2)
    extensions.allow(["sample_parts"])
    assert load_stored("one", key="ensemble").attention.name == "mine"
    new_process(monkeypatch)
    found = mistakes(evaluate, "run=one", "extensions=[my_pakage]")
    assert [line.partition(":")[0] for line in found] == ["extensions=[my_pakage]", "run=one"]
    monkeypatch.setenv(extensions.VARIABLE, "my_package")
    assert load(evaluate, "run=one").attention.target.__name__ == "Mine"


@pytest.mark.parametrize("target", ["os.system", "subprocess.Popen", "torch.load", "a b.C", "antigravity.X"])
def test_no_advice_to_allow_a_package_that_is_not_the_users(evaluate: Script, run: TrainSettings, target: str) -> None:
    path = Path("runs/one/config.yaml")
    unsealed = path.read_text().partition("\n")[2]  # the folder may be someone else's, without a hash
    path.write_text(unsealed.replace("my_package.attention.Mine", f"'{target}'"))
    (line,) = mistakes(evaluate, "run=one")
    assert f"attention._target_: {target!r} is not allowed" in line


def test_allowed_packages_may_change_when_a_run_is_resumed(train: Script, run: TrainSettings) -> None:
    stored = read_config(Path("runs/one/config.yaml"))
    del stored["extensions"]
    assert diff(stored, effective_settings(run, None).plain) == []
    plain = load(train, "run=two")
    assert plain.extensions == []


def test_compare_uses_the_allowed_packages(run: TrainSettings, repository: Path) -> None:
    words = ["runs=one", "extensions=[my_package,sample_parts]"]
    load_own(compose(repository / "configs", "compare", words), CompareSettings)
    assert load_stored("one").attention.name == "mine"


def test_what_one_call_allows_is_not_allowed_after_it(train: Script) -> None:
    with extensions.one_call():
        assert load(train, "attention=mine", "extensions=[my_package]").attention.name == "mine"
        assert extensions.allowed() == ("my_package",)
        with extensions.one_call():
            assert extensions.allowed() == ()
    assert extensions.allowed() == ()
