"""The differences of several runs, as command-line arguments."""

import json
from collections.abc import Sequence
from typing import Any

from seq2seq.config.command_line.overrides import literal
from seq2seq.config.schema import TrainSettings
from seq2seq.config.stored_run import training_settings
from seq2seq.errors import ConfigError

SIZES = ("hidden_size", "layers", "inner_size")
LIMITS = ("max_updates", "max_epochs", "max_minutes", "patience")


def differing_words(runs: Sequence[TrainSettings]) -> list[dict[str, str]]:
    """For each run, by its key, a word (attention=luong_dot, seed=2) for each setting that differs between them.

    A part that was chosen differently is given by its choice, with its own keys if they differ between runs with the
    same choice.
    """
    leaves = [training_settings(settings.plain) for settings in runs]
    chosen = differently_chosen(runs)
    differing: list[dict[str, str]] = []
    for settings, own in zip(runs, leaves, strict=True):
        words = {group: f"{group}={_choice(settings, group)}" for group in chosen}
        for key, value in own.items():
            group = key.split(".")[0]
            peers = [
                other.get(key)
                for run, other in zip(runs, leaves, strict=True)
                if group not in chosen or _choice(run, group) == _choice(settings, group)
            ]
            if any(peer != value for peer in peers):
                words[key] = f"{key}={as_text(value)}"
        differing.append(words)
    return differing


def differently_chosen(runs: Sequence[TrainSettings]) -> list[str]:
    """The groups in which these runs chose different files, with different content; the one with most choices first."""
    chosen: dict[str, int] = {}
    for group in dict.fromkeys(key.split(".")[0] for key in training_settings(runs[0].plain)):
        choices = {_choice(settings, group) for settings in runs}
        if len(choices) > 1 and any(settings.plain[group] != runs[0].plain[group] for settings in runs):
            chosen[group] = len(choices)
    return sorted(chosen, key=lambda group: -chosen[group])


def check_budgets(runs: Sequence[TrainSettings]) -> dict[str, Any]:
    """The budget of the runs, by key: limits, data, tokenizer and the sizes of the parts that are not compared.

    Raises ConfigError, in one line, if it differs.
    """
    compared = differently_chosen(runs)
    budgets = [_budget(settings, compared) for settings in runs]
    keys = dict.fromkeys(key for budget in budgets for key in budget)
    mixed = []
    for key in keys:
        with_value: dict[str, list[str]] = {}
        for settings, budget in zip(runs, budgets, strict=True):
            with_value.setdefault(as_text(budget.get(key)), []).append(settings.run)
        if len(with_value) > 1:
            mixed.append(f"{key}: " + ", ".join(f"{value} in {' '.join(names)}" for value, names in with_value.items()))
    if mixed:
        raise ConfigError(f"runs with different budgets cannot be compared in one table; {'; '.join(mixed)}")
    return budgets[0]


def as_text(value: Any) -> str:
    """A value as on the command line."""
    value = literal(value)
    return value if isinstance(value, str) else json.dumps(value)


def _budget(settings: TrainSettings, compared: Sequence[str]) -> dict[str, Any]:
    budget: dict[str, Any] = {f"trainer.{limit}": getattr(settings.trainer, limit) for limit in LIMITS}
    for key, value in training_settings(settings.plain).items():
        group, _, last = key.rpartition(".")
        given = key in ("trainer.tokens_per_update", "embedding.size", "tie")
        if given or key.split(".")[0] in ("data", "tokenizer", "length") or (last in SIZES and group not in compared):
            budget[key] = value
    return budget


def _choice(settings: TrainSettings, group: str) -> str:
    return settings.choices.get(group, "custom")
