"""Freezing by name: parameters that stay as they are, without gradient, optimizer state or weight decay."""

import logging
from collections import defaultdict
from collections.abc import Sequence

from torch import nn

from seq2seq.adapter.none import NoAdapter
from seq2seq.config.schema import TrainSettings
from seq2seq.errors import ConfigError
from seq2seq.model.builder import build_model
from seq2seq.model.parameter_names import choose

ANY_VOCABULARY = 5  # names do not depend on its size

log = logging.getLogger(__name__)


def freeze(model: nn.Module, patterns: Sequence[str]) -> None:
    """Freeze the parameters that `patterns` name; call it before the optimizer is built.

    Tied weights are one parameter: frozen under one of its names, it is frozen under all of them, and the log says so.
    Raises ConfigError for a pattern that names nothing, and where nothing is left to train.
    """
    for parameter, others in _named_by(patterns, model):
        if others and parameter.requires_grad:
            log.info("also frozen, because it is tied: %s", ", ".join(others))
        parameter.requires_grad_(False)


def _named_by(patterns: Sequence[str], model: nn.Module) -> list[tuple[nn.Parameter, list[str]]]:
    """Each parameter that has a name among `patterns`, with those of its names that are not."""
    names_of: dict[nn.Parameter, list[str]] = defaultdict(list)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names_of[parameter].append(name)
    chosen = choose("freeze", patterns, [name for names in names_of.values() for name in names])
    found = [(parameter, names) for parameter, names in names_of.items() if chosen.intersection(names)]
    if not {parameter for parameter in names_of if parameter.requires_grad} - {parameter for parameter, _ in found}:
        raise ConfigError("freeze: nothing is left to train; remove a name from it")
    return [(parameter, [name for name in names if name not in chosen]) for parameter, names in found]


def freeze_problems(settings: TrainSettings) -> list[str]:
    """A line for each problem of `freeze` and of the adapter's targets, before any data is read; the parts must be
    compatible."""
    if not settings.freeze and settings.adapter.target is NoAdapter:
        return []
    try:
        model = build_model(settings, source_vocab=ANY_VOCABULARY, target_vocab=ANY_VOCABULARY)
        settings.adapter().insert(model)
        _named_by(settings.freeze, model)
    except ConfigError as error:
        return str(error).split("\n")
    return []
