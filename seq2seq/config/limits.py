"""Values that have the right type and still cannot be meant."""

import re
from collections.abc import Iterable
from typing import Any

from seq2seq.config.problems import Problem, did_you_mean, show
from seq2seq.config.schema import ELSEWHERE, SEVERAL, TRANSLATIONS, TrainSettings
from seq2seq.config.stored_run import first_horizon, run_path
from seq2seq.errors import ConfigError
from seq2seq.types import Component, Part

_POSITIVE = [
    "embedding.size",
    "length.max_source",
    "length.max_target",
    *(
        "trainer." + key
        for key in ("max_updates", "max_epochs", "max_minutes", "tokens_per_update", "tokens_per_batch")
    ),
    *("trainer." + key for key in ("log_every", "validate_every", "validate_pairs")),
    *("trainer." + key for key in ("save_every", "patience", "clip_norm", "keep_last", "average")),
]
_SHARES = ["embedding.dropout", "embedding.word_dropout"]
SIZES = frozenset(
    ["hidden_size", "layers", "heads", "kv_heads", "inner_size", "attn_dim", "max_length", "window", "size"]
)
_NOT_NEGATIVE = ["seed", "trainer.probes"]


def check_limits(settings: TrainSettings) -> list[Problem]:
    """Numbers of the fixed sections outside their range, and a run that would never end."""
    problems = [
        Problem(key, f"expected more than 0, got {value}") for key, value in _numbers(settings, _POSITIVE) if value <= 0
    ]
    problems += [
        Problem(key, f"expected a share from 0 to below 1, got {value}")
        for key, value in _numbers(settings, _SHARES)
        if not 0 <= value < 1
    ]
    problems += [
        Problem(key, f"expected 0 or more, got {value}")
        for key, value in _numbers(settings, _NOT_NEGATIVE)
        if value < 0
    ]
    problems += _argument_problems(settings)
    problems += device_problems(settings.device)
    if not _is_name(settings.run):
        problems.append(Problem("run", f"expected a name (runs/NAME) or a path with a slash, got {show(settings.run)}"))
    if not settings.cache_dir:
        problems.append(Problem("cache_dir", "expected a folder (SEQ2SEQ_CACHE or the given value is empty)"))
    if settings.init_from is not None and not _is_name(settings.init_from):
        problems.append(
            Problem("init_from", f"expected a run's name or a path with a slash, got {show(settings.init_from)}")
        )
    problems += _checkpoint_problems("init_checkpoint", settings.init_checkpoint)
    trainer = settings.trainer
    if trainer.max_updates is trainer.max_epochs is trainer.max_minutes is None:
        problems.append(
            Problem("trainer.max_updates", "the run has no end: give max_updates, max_epochs or max_minutes")
        )
    return problems


def device_problems(device: str) -> list[Problem]:
    """What is wrong with the name of a device."""
    if re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", device):
        return []
    known = ELSEWHERE["device"].get(device.lower())
    advice = f"; {known}" if known else did_you_mean(device, ["auto", "cpu", "cuda"])
    return [Problem("device", f"expected auto, cpu, cuda or one of several (cuda:1), got {show(device)}{advice}")]


def _is_name(run: str) -> bool:
    """Whether a run can be called so, or lie there: no control characters, nothing that is no text."""
    return run not in ("", ".", "..") and not re.search("[\0-\x1f\x7f-\x9f\ud800-\udfff]", run)


def _argument_problems(settings: TrainSettings) -> list[Problem]:
    """Sizes and dropouts of wired parts, which mean the same in all of them; the others speak for themselves."""
    problems = []
    for key, part in _parts(settings):
        wired = getattr(part.target, "wired", ())
        for name, value in part.arguments.items():
            if not wired or not isinstance(value, int | float):
                continue
            if name in SIZES and value < 1:
                problems.append(Problem(f"{key}.{name}", f"expected 1 or more, got {value}"))
            if name.endswith("dropout") and not 0 <= value < 1:
                problems.append(Problem(f"{key}.{name}", f"expected a share from 0 to below 1, got {value}"))
    return problems


def check_script(own: Any) -> list[Problem]:
    """Values that the scripts working on a run cannot mean."""
    problems = _checkpoint_problems("checkpoint", own.checkpoint)
    if getattr(own, "bootstrap", 0) < 0:
        problems.append(Problem("bootstrap", f"expected 0 or more, got {own.bootstrap}"))
    problems += _baseline_problems(getattr(own, "baselines", []))
    if getattr(own, "n_best", 1) < 1:
        problems.append(Problem("n_best", f"expected 1 or more, got {own.n_best}"))
    problems += _ensemble_problems(own.run, getattr(own, "ensemble", []))
    shortlist = getattr(own, "shortlist", None)
    if shortlist is not None and not 1 <= shortlist <= TRANSLATIONS:
        problems.append(Problem("shortlist", f"expected 1 to {TRANSLATIONS}, or null for all tokens, got {shortlist}"))
    return problems


def _checkpoint_problems(key: str, name: str) -> list[Problem]:
    if re.fullmatch(r"best|last|average|step-\d+|\?", name):
        return []
    return [Problem(key, f"expected best, last, average or step-N, got {show(name)}")]


def _ensemble_problems(run: str, others: list[str]) -> list[Problem]:
    if wrong := [name for name in (run, *others) if not _is_name(name)]:
        return [Problem("ensemble", f"expected names of runs (runs/NAME) or paths with a slash, got {show(wrong[0])}")]
    paths = [run_path(name).resolve() for name in (run, *others)]
    twice = [name for place, name in enumerate(others, start=1) if paths[place] in paths[:place]]
    return [
        Problem("ensemble", f"each run may be given once, run={run} included, but {name} is given twice")
        for name in twice
    ]


def _baseline_problems(baselines: str | list[str]) -> list[Problem]:
    if baselines in ("auto", "none", "?"):
        return []
    names = [baselines] if isinstance(baselines, str) else baselines
    wrong = [name for name in names if not re.fullmatch(r"(lead|random)-[1-9]\d*", name)]
    expected = "expected auto, none, or names such as lead-3 and random-3"
    return [Problem("baselines", f"{expected}, got {show(name)}") for name in wrong]


def _numbers(settings: TrainSettings, keys: Iterable[str]) -> Iterable[tuple[str, float]]:
    """The values of these keys that are numbers; others are optional and absent, or noted already."""
    for key in keys:
        value: Any = settings
        for name in key.split("."):
            value = getattr(value, name)
        if isinstance(value, int | float):
            yield key, value


def check_parts(settings: TrainSettings, known: list[Problem]) -> list[Problem]:
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
            problems += [_said(key, arguments, line) for line in str(error).split("\n")]
    return problems


def _parts(settings: TrainSettings) -> Iterable[tuple[str, Part]]:
    named = ((key, value) for key, value in vars(settings).items() if isinstance(value, Part))
    several = [(group, getattr(settings, group)) for group in SEVERAL]
    return [*named, *((f"{group}.{name}", part) for group, parts in several for name, part in parts.items())]


def _said(key: str, arguments: dict[str, Any], text: str) -> Problem:
    """The constructor's message under the argument it begins with, if it names one."""
    for name in arguments:
        if text.startswith(f"{key}.{name}"):
            return Problem(f"{key}.{name}", text.removeprefix(f"{key}.{name}").lstrip(": ") or show(arguments[name]))
    return Problem(key, text)
