"""All that we ask of Hydra: composing a configuration, reading an override, running a task as a program of its own.

Only this file imports it. What it raises becomes Mistakes.
"""

import argparse
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.singleton import Singleton
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from seq2seq import __version__
from seq2seq.config.paths import shorten
from seq2seq.config.problems import Mistakes, one_line
from seq2seq.config.yaml_reading import describe_yaml_error

# Hydra 1.3 asks which version's behaviour is meant; newer ones have one behaviour and warn about the argument.
VERSION_BASE = {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}

_STATE = ("GlobalHydra", "HydraConfig", "JobRuntime", "VersionBase")  # what Hydra knows of the running program
_COMPOSING = threading.Lock()


def compose_config(folder: Path, name: str, overrides: Sequence[str]) -> DictConfig:
    """`<folder>/<name>.yaml` with these overrides, Hydra's own section `hydra` included; raises Mistakes."""
    with _initialized(folder):
        return hydra.compose(name, list(overrides), return_hydra_config=True)


@contextmanager
def _initialized(folder: Path) -> Iterator[None]:
    """Hydra's global state for composing from `folder`.

    Raises Mistakes where Hydra cannot: the cause is in the files or words that it was given.
    """
    try:
        with (
            _own_state(),
            hydra.initialize_config_dir(**VERSION_BASE, config_dir=str(folder.resolve()), job_name="seq2seq"),
        ):
            yield
    except yaml.YAMLError as error:
        raise Mistakes([_yaml_line(error)]) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise Mistakes([one_line(error)]) from error
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        RecursionError,
    ) as error:
        raise Mistakes([f"Hydra cannot compose this: {one_line(error)}"]) from error


@contextmanager
def _own_state() -> Iterator[None]:
    """A global state of our own; that of a running job, or of the program that has called us, is put back afterwards.

    The state is the process's: one thread composes at a time.
    """
    with _COMPOSING:
        before = Singleton._instances
        Singleton._instances = {kind: one for kind, one in before.items() if kind.__name__ not in _STATE}
        try:
            yield
        finally:
            made = {kind: one for kind, one in Singleton._instances.items() if kind.__name__ not in _STATE}
            Singleton._instances = {**made, **before}


def run_task(folder: Path, name: str, words: Sequence[str], task: Callable[[DictConfig, Any], None]) -> None:
    """Run `task` as a Hydra program with these words: with its composed configuration and Hydra's own section.

    Raises the task's own error, or Mistakes for what Hydra refuses.
    """
    failed: list[Exception] = []

    def run(config: DictConfig) -> None:
        try:
            task(config, HydraConfig.get())
        except Exception as error:  # Hydra would print half of it and go on: it is raised again outside of Hydra
            failed.append(error)

    argv, sys.argv = sys.argv, [sys.argv[0], *words]
    try:
        hydra.main(**VERSION_BASE, config_path=str(folder), config_name=name)(run)()
    except (HydraException, OmegaConfBaseException, ValueError) as error:  # Hydra's own: the task's are kept aside
        raise Mistakes([one_line(error)]) from error
    finally:
        sys.argv = argv
    if failed:
        raise failed[-1]


@cache
def _parser() -> Any:
    return OverridesParser.create()


def parse(text: str) -> Override | None:
    """The override as Hydra's grammar reads it, or None where it refuses."""
    try:
        return _parser().parse_override(text)
    except (HydraException, ValueError, RecursionError):  # a number of 5,000 digits; a thousand brackets
        return None


def sweep_values(text: str, most: int) -> list[str]:
    """The values of a sweep such as choice(1,2), at most so many; none where it is no sweep that can be listed."""
    override = parse(text)
    if override is not None and override.is_sweep_override() and override.is_discrete_sweep():
        with suppress(HydraException):  # glob(*) asks for the files that there are
            return [str(item) for item in islice(override.sweep_string_iterator(), most)]
    return []


class Options(argparse.ArgumentParser):
    """The options of Hydra's command line, of which it is given what is left; raises Mistakes."""

    def __init__(self) -> None:
        super().__init__(add_help=False)
        self.add_argument("overrides", nargs="*")
        self.add_argument("--version", action="version", version=f"seq2seq {__version__}")
        for names in (["--help", "-h"], ["--hydra-help"], ["--resolve"], ["--run", "-r"], ["--multirun", "-m"]):
            self.add_argument(*names, action="store_true")
        self.add_argument("--shell-completion", "-sc", action="store_true")
        self.add_argument("--cfg", "-c", choices=["job", "hydra", "all"])
        infos = ["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"]
        self.add_argument("--info", "-i", const="all", nargs="?", choices=infos)
        for names in (["--package", "-p"], ["--config-path", "-cp"], ["--config-name", "-cn"], ["--config-dir", "-cd"]):
            self.add_argument(*names)
        self.add_argument("--experimental-rerun")

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print."""
        raise Mistakes([message])


def _yaml_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"{shorten(Path(mark.name))}: " if mark and mark.name else ""
    return place + describe_yaml_error(error)
