"""Values that have the right type but are out of range."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from seq2seq.config.key_rules import ONE_OR_MORE, SHARE, beyond_limits, is_run_name
from seq2seq.config.problems import Problem, show
from seq2seq.config.schema import SEVERAL, TrainSettings
from seq2seq.config.stored_run import first_horizon, run_path
from seq2seq.errors import ConfigError
from seq2seq.types import Component, Part

SIZES = frozenset(
    [
        *("hidden_size", "layers", "distinct_layers", "heads", "kv_heads", "inner_size", "attn_dim"),
        *("max_length", "window", "size"),
    ]
)
SHARES = ("dropout", "layer_drop")  # how names of shares end


def check_limits(settings: TrainSettings, known: Sequence[Problem]) -> list[Problem]:
    """Values beyond their limits, and a run that would never end; keys with a `known` problem are passed over."""
    problems = [*beyond_limits(settings, known), *_argument_problems(settings)]
    trainer = settings.trainer
    if trainer.max_updates is trainer.max_epochs is trainer.max_minutes is None:
        problems.append(
            Problem("trainer.max_updates", "the run has no end: give max_updates, max_epochs or max_minutes")
        )
    return problems


def _argument_problems(settings: TrainSettings) -> list[Problem]:
    """Sizes and dropouts of wired parts, which mean the same in all of them; the others speak for themselves."""
    problems = []
    for key, part in _parts(settings):
        wired = getattr(part.target, "wired", ())
        for name, value in part.arguments.items():
            if not wired or not isinstance(value, int | float):
                continue
            limit = ONE_OR_MORE if name in SIZES else SHARE if name.endswith(SHARES) else None
            if limit and not limit.holds(value):
                problems.append(Problem(f"{key}.{name}", f"expected {limit.expected}, got {value}"))
    return problems


def check_script(own: Any, known: Sequence[Problem]) -> list[Problem]:
    """Values that a script cannot mean; keys with a `known` problem are passed over."""
    problems = [*beyond_limits(own, known), *check_parts(own, known)]
    wrong = {problem.key.partition("[")[0] for problem in known}
    if hasattr(own, "baselines") and "baselines" not in wrong:
        problems += _baseline_problems(own.baselines)
    if hasattr(own, "ensemble") and not wrong & {"run", "ensemble"}:
        problems += _ensemble_problems(own.run, own.ensemble)
    return problems


def _ensemble_problems(run: str, others: list[str]) -> list[Problem]:
    if wrong := [name for name in (run, *others) if not is_run_name(name)]:
        return [Problem("ensemble", f"expected names of runs (runs/NAME) or paths with a slash, got {show(wrong[0])}")]
    paths = [run_path(name).resolve() for name in (run, *others)]
    twice = [name for place, name in enumerate(others, start=1) if paths[place] in paths[:place]]
    return [
        Problem("ensemble", f"each run may be given once, run={run} included, but {name} is given twice")
        for name in twice
    ]


def _baseline_problems(baselines: str | list[str]) -> list[Problem]:
    if baselines in ("auto", "none"):
        return []
    names = [baselines] if isinstance(baselines, str) else baselines
    wrong = [name for name in names if not re.fullmatch(r"(lead|random)-[1-9]\d*", name)]
    expected = "expected auto, none, or names such as lead-3 and random-3"
    return [Problem("baselines", f"{expected}, got {show(name)}") for name in wrong]


def check_parts(settings: Any, known: Sequence[Problem]) -> list[Problem]:
    """What the constructors of parts that need nothing from the builder say of their arguments."""
    problems = []
    for key, part in _parts(settings):
        unwired = isinstance(part.target, type) and issubclass(part.target, Component) and not part.target.wired
        if not unwired or any(problem.key.startswith(f"{key}.") for problem in known):
            continue
        arguments = part.arguments
        if key == "schedule" and arguments.get("horizon", 1) is None:
            arguments = {**arguments, "horizon": first_horizon(settings)}
        try:
            part.target(**arguments)
        except (ValueError, ConfigError) as error:
            problems += [_as_problem(key, arguments, line) for line in str(error).split("\n")]
    return problems


def _parts(settings: Any) -> Iterable[tuple[str, Part]]:
    named = ((key, value) for key, value in vars(settings).items() if isinstance(value, Part))
    several = [(group, getattr(settings, group)) for group in SEVERAL if hasattr(settings, group)]
    return [*named, *((f"{group}.{name}", part) for group, parts in several for name, part in parts.items())]


def _as_problem(key: str, arguments: dict[str, Any], text: str) -> Problem:
    """The constructor's message under the argument it begins with, if it names one."""
    for name in arguments:
        if text.startswith(f"{key}.{name}"):
            return Problem(f"{key}.{name}", text.removeprefix(f"{key}.{name}").lstrip(": ") or show(arguments[name]))
    return Problem(key, text)
