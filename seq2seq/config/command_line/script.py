"""A command as a whole: its name, the class of its settings and the function that gets them; its YAML says the rest."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from seq2seq.config.command_line.choice_files import Library
from seq2seq.config.command_line.preset import with_preset
from seq2seq.config.composition import Composition
from seq2seq.config.loading import Check, load_for_training, load_own, load_run, load_train
from seq2seq.config.paths import CONFIGS
from seq2seq.config.presets import TextSize
from seq2seq.config.schema import ForTraining, OfRun, TrainSettings, plain_keys
from seq2seq.config.targets import Targets


@dataclass(frozen=True)
class Script:
    """A command: `<folder>/<name>.yaml` holds its choices and the values of its keys, `settings` their types.

    `run` gets the settings, and where the command works on an existing run (`OfRun`) also those of the run, changed by
    what was typed; where it looks at a training before it starts (`ForTraining`), also those of the training. `checks`
    say what cannot work. Both are functions or their names, `module:function`, imported when they are called, so that a
    mistyped key is reported at once. `own` is a folder of choices that the user adds, `size_of` measures the training
    text for preset=auto; without it there are no presets. `sweeps` says what to do with several values for a key.
    """

    name: str
    settings: type
    run: Callable[..., None] | str
    checks: tuple[Check | str, ...] = ()
    folder: Path = CONFIGS
    own: Path | None = None
    size_of: Callable[[TrainSettings], TextSize] | str | None = None
    targets: Targets = field(default_factory=Targets)
    sweeps: str = "need --multirun (-m)"

    @property
    def of_run(self) -> bool:
        """Whether the command works on an existing run."""
        return issubclass(self.settings, OfRun)

    @property
    def for_training(self) -> bool:
        """Whether the command takes the words of a training."""
        return self.settings is TrainSettings or self.looks_ahead

    @property
    def looks_ahead(self) -> bool:
        """Whether the command takes the words of a training without starting it."""
        return issubclass(self.settings, ForTraining)

    @property
    def library(self) -> Library:
        """The choice files."""
        return Library(self.folder, self.name, self.own)

    @cached_property
    def keys(self) -> dict[str, Any]:
        """The types of the plain keys: the command's own, and those of a run that its YAML lists, to be given anew."""
        own, of_run = plain_keys(self.settings), plain_keys(TrainSettings)
        if self.looks_ahead:
            return {**of_run, "run": str | None, **own}
        listed = {key: value for key, value in self.library.primary.items() if key in of_run and key not in own}
        return own | {key: of_run[key] if value is not None else of_run[key] | None for key, value in listed.items()}

    def load(self, composed: Composition) -> Any:
        """The settings, and where the command works on a run or looks at one a pair of them and the run's; raises
        Mistakes."""
        checks = [_function(check) for check in self.checks]
        if self.settings is TrainSettings:
            return load_train(composed, checks=checks, targets=self.targets)
        if self.of_run:
            return load_run(composed, self.settings, checks=checks, targets=self.targets)
        if self.looks_ahead:
            return load_for_training(composed, self.settings, checks=checks, targets=self.targets)
        return load_own(composed, self.settings)

    def read(self, composed: Composition) -> Any:
        """What `load` returns, with the values of a preset."""
        if self.size_of is not None:
            composed = with_preset(
                composed, self.library, self._training, _function(self.size_of), announced=not self.looks_ahead
            )
        return self.load(composed)

    def _training(self, composed: Composition) -> TrainSettings:
        """The settings of the training; raises Mistakes."""
        loaded = self.load(composed)
        settings: TrainSettings = loaded[1] if self.looks_ahead else loaded
        return settings

    def start(self, composed: Composition) -> None:
        """Read the settings, then do the work."""
        settings = self.read(composed)
        _function(self.run)(*settings if self.of_run or self.looks_ahead else (settings,))


def _function(named: Callable[..., Any] | str) -> Callable[..., Any]:
    """The function, imported if it is named as module:function."""
    if not isinstance(named, str):
        return named
    module, _, name = named.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function
