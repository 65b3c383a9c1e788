"""The command lines that train runs again, worked out from the settings that the runs themselves hold."""

import itertools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from seq2seq.analysis.comparison.differences import as_text, differing_words
from seq2seq.config import CONFIGS, compose
from seq2seq.config.command_line.choice_files import Library
from seq2seq.config.command_line.multirun import job_suffix, split_jobs
from seq2seq.config.command_line.program import program
from seq2seq.config.loading import read_settings
from seq2seq.config.schema import TrainSettings
from seq2seq.config.stored_run import flatten, matters
from seq2seq.config.targets import Targets
from seq2seq.errors import ConfigError

CONFIG_DIR = "--config-dir"
LARGEST_SWEEP = 4  # keys that a multirun is looked for in


def train_command(settings: TrainSettings) -> str:
    """The command that trains this run, or continues it."""
    return command("train", [*_typed(settings).values(), f"run={settings.run}"])


def train_commands(runs: Sequence[TrainSettings]) -> list[str]:
    """Commands that train just these runs: a multirun where their names say that it made them, else one a run."""
    left = {settings.run: _typed(settings) for settings in runs}
    told = {settings.run: words for settings, words in zip(runs, differing_words(runs), strict=True)}
    commands = []
    for swept in _orders(list(dict.fromkeys(key for words in told.values() for key in words))):
        for words, made in _multiruns(left, told, swept):
            commands.append(command("train", ["-m", *words]))
            left = {run: typed for run, typed in left.items() if run not in made}
    return commands + [command("train", [*typed.values(), f"run={run}"]) for run, typed in left.items()]


def command(script: str, words: Sequence[str]) -> str:
    """A line for a shell."""
    return " ".join([program(script), *map(shlex.quote, words)])


def _orders(keys: list[str]) -> Iterator[tuple[str, ...]]:
    """Every choice of keys in every order, many keys before few."""
    for count in range(min(len(keys), LARGEST_SWEEP), 0, -1):
        yield from itertools.permutations(keys, count)


def _multiruns(
    left: Mapping[str, Mapping[str, str]], told: Mapping[str, Mapping[str, str]], swept: Sequence[str]
) -> Iterator[tuple[list[str], set[str]]]:
    """The words of each multirun over `swept` that makes several of the runs and no other, and the runs it makes."""
    families: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for run, typed in left.items():
        if all(key in told[run] for key in swept):
            own = [told[run][key] for key in swept]
            prefix = run.removesuffix(job_suffix(own))
            fixed = [word for key, word in typed.items() if key not in swept]
            if prefix not in (run, ""):
                families.setdefault((*fixed, f"run={prefix}"), {})[run] = own
    for (*fixed, named), members in families.items():
        values = [list(dict.fromkeys(column)) for column in zip(*members.values(), strict=True)]
        sweeps = [_sweep(key, words) for key, words in zip(swept, values, strict=True)]
        made = {named.removeprefix("run=") + job.suffix for job in split_jobs([*fixed, *sweeps])}
        if made == set(members) and len(made) > 1:
            yield [*fixed, *sweeps, named], made


def _sweep(key: str, words: Sequence[str]) -> str:
    return f"{key}=" + ",".join(word.removeprefix(f"{key}=") for word in words)


def _typed(settings: TrainSettings) -> dict[str, str]:
    """By its key, each word of scripts/train.py that makes these settings, `run` left out."""
    experiment = settings.choices.get("experiment")
    if experiment is not None:
        try:
            return _words(settings, {"experiment": f"experiment={experiment}"})
        except ConfigError:  # it is no longer there, or chooses what is not
            pass
    return _words(settings, {})


def _words(settings: TrainSettings, given: dict[str, str]) -> dict[str, str]:
    """`given`, and the words for all in which the settings differ from what it composes."""
    base, _ = _composed(*given.values())
    # What a run is recorded by makes no other run of it.
    choices = {group: choice for group, choice in settings.choices.items() if group not in ("experiment", "logger")}
    own = {group for group, choice in choices.items() if choice not in Library(CONFIGS, "train").choices(group)}
    words = given | {g: f"{g}={choice}" for g, choice in choices.items() if base.get(g) != choice}
    _, plain = _composed(*(word for key, word in words.items() if key not in own))
    usual, wanted = _leaves(plain), _leaves(settings.plain)
    if settings.extensions:
        words |= {"extensions": f"extensions=[{','.join(settings.extensions)}]"}
    if own:  # their files, in a folder of the user's, may have said anything
        words |= {CONFIG_DIR: f"{CONFIG_DIR}=DIR"}
        usual = {key: value for key, value in usual.items() if key.split(".")[0] not in own}
        wanted = {key: value for key, value in wanted.items() if key.split(".")[-1] not in ("_target_", "_partial_")}
    if usual.get("schedule.horizon", 0) is None and wanted["schedule.horizon"] == settings.trainer.max_updates:
        wanted["schedule.horizon"] = None  # that is what it means
    taken_out = [name for name in plain["metrics"] if name not in settings.metrics]
    words |= {f"metrics.{name}": f"~metrics.{name}" for name in taken_out}
    return words | {
        key: f"{key}={as_text(value)}" for key, value in wanted.items() if key not in usual or usual[key] != value
    }


@cache
def _composed(*words: str) -> tuple[Mapping[str, str], dict[str, Any]]:
    """The choices and the values that these words make."""
    composition = compose(CONFIGS, "train", words)
    settings, _ = read_settings(composition.plain()[0], composition.choices, Targets())
    assert settings is not None
    return composition.choices, settings.plain


def _leaves(plain: dict[str, Any]) -> dict[str, Any]:
    """Every setting that is not a matter of the machine."""
    return matters(plain) | flatten({"trainer": plain["trainer"]})
