"""The one loader: a composition becomes settings, or every mistake in it becomes one error."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from omegaconf import OmegaConf

from seq2seq.config.changes import apart, changes, over
from seq2seq.config.command_line.overrides import literal
from seq2seq.config.composition import Composition, Layer
from seq2seq.config.extensions import allow, extension_problems, others_line
from seq2seq.config.key_rules import NO_KEY, keys_with, with_examples
from seq2seq.config.limits import check_script
from seq2seq.config.problems import Mistakes, Problem
from seq2seq.config.reading import Reader
from seq2seq.config.schema import ForTraining, OfRun, TrainSettings, plain_keys
from seq2seq.config.settings import read_settings
from seq2seq.config.stored_run import RECORDED, move_root, run_path, stored_config
from seq2seq.config.targets import Targets
from seq2seq.config.typed_only import without_typed_only

S = TypeVar("S", bound=OfRun)
F = TypeVar("F", bound=ForTraining)
T = TypeVar("T")
Check = Callable[[TrainSettings], list[str]]


def load_train(composed: Composition, *, checks: Sequence[Check] = (), targets: Targets | None = None) -> TrainSettings:
    """Settings from a composition; raises Mistakes with a line for each thing that is wrong.

    `checks` are asked once the settings can be read: each returns lines on combinations that cannot work.
    """
    plain, problems = composed.plain()
    problems += extension_problems(plain.get("extensions"))
    if isinstance(plain.get("extensions"), list):
        plain["extensions"] = allow(plain["extensions"])
    settings, found = read_settings(plain, composed.choices, targets or Targets(), composed.job_suffix)
    finished = _finished(settings, composed, [*problems, *found], checks)
    return dataclasses.replace(finished, command=composed.command, preset=composed.preset)


def load_for_training(
    composed: Composition, kind: type[F], *, checks: Sequence[Check] = (), targets: Targets | None = None
) -> tuple[F, TrainSettings]:
    """A script's own settings (`kind`) and those of the training that the other keys describe; raises Mistakes."""
    names = plain_keys(kind).keys()
    tree = cast(dict[str, Any], OmegaConf.to_container(composed.config, resolve=False))
    reader = Reader(targets or Targets())
    script = reader.section("", kind, {key: value for key, value in tree.items() if key in names})
    wrong = [*reader.problems, *(check_script(script, reader.problems) if script else [])]
    lines = [composed.line(problem) for problem in wrong]
    rest = OmegaConf.masked_copy(composed.config, [key for key in tree if key not in names])
    try:
        settings = load_train(dataclasses.replace(composed, config=rest), checks=checks, targets=targets)
    except Mistakes as mistakes:
        raise Mistakes([*lines, *mistakes.lines]) from mistakes
    if lines or script is None:
        raise Mistakes(lines)
    return script, settings


def _finished(
    settings: TrainSettings | None, composed: Composition, problems: Sequence[Problem], checks: Sequence[Check]
) -> TrainSettings:
    """The settings, if nothing at all is wrong with them."""
    lines = [composed.line(problem) for problem in _certain(problems, composed)]
    guessed = any(problem.key.split(".")[0] in ("tie", "embedding") for problem in problems)
    if settings is not None and not composed.refused and not guessed:
        lines += ask(checks, settings, certain=not lines)
    if lines or settings is None:
        raise Mistakes(lines)
    return settings


def _certain(problems: Sequence[Problem], composed: Composition) -> list[Problem]:
    """The problems without those of groups whose typed choice does not exist."""
    return [problem for problem in problems if problem.key.split(".")[0] not in composed.refused]


def ask(checks: Sequence[Check], settings: TrainSettings, *, certain: bool) -> list[str]:
    """The checks' lines. If there are other mistakes (not `certain`), a check may fail because of a wrong argument."""
    lines = []
    for check in checks:
        try:
            lines += check(settings)
        except Exception:
            if certain:
                raise
    return lines


def load_run(
    composed: Composition, kind: type[S], *, checks: Sequence[Check] = (), targets: Targets | None = None
) -> tuple[S, TrainSettings]:
    """A script's own settings (`kind`) and those of the run it works on, changed only by what was typed.

    Raises Mistakes, or CheckpointError where there is no such run.
    """
    own, typed = apart(composed, kind)
    reader = Reader(targets or Targets(), composed.choices)
    script = reader.section("", kind, {**own, "changed": {}})
    reader.problems = with_examples(reader.problems, kind)
    if not isinstance(own.get("run"), str):
        raise Mistakes([composed.line(problem) for problem in _certain(reader.problems, composed)])
    stored = stored_config(own["run"])
    given = cast(dict[str, Any], OmegaConf.to_container(typed)).get("extensions")
    wrong = extension_problems(given)
    allow(given)
    if line := others_line(stored, reader.targets.packages, key="run", run=own["run"]):
        raise Mistakes([*map(composed.line, wrong), line])
    known, left_out = without_typed_only(stored, reader.targets)
    merged = over(known, typed, composed)
    plain, problems = merged.plain()
    settings, found = read_settings({**plain, "run": own["run"]}, merged.choices, reader.targets)
    of_script = [*reader.problems, *(check_script(script, reader.problems) if script else [])]
    finished = _finished(settings, merged, [*of_script, *wrong, *problems, *found], checks)
    if script is None:  # its group's choice does not exist, which has been reported
        raise Mistakes([])
    changed = changes(stored, finished, merged)
    changed = {key: value for key, value in changed.items() if value is not None or key not in left_out}
    if script.checkpoint not in ("average", "average-best"):
        changed.pop("trainer.average", None)
    return dataclasses.replace(script, changed=changed), finished


def load_stored(run: str, *, data_root: str | None = None, key: str = "run") -> TrainSettings:
    """The own settings of the existing run that `key` names, under the name it has now; its corpora may have moved to
    `data_root`.

    Raises CheckpointError where there is no such run, Mistakes where this version cannot read its settings.
    """
    stored = stored_config(run, key)
    if line := others_line(stored, Targets().packages, key=key, run=run):
        raise Mistakes([line])
    stored, _ = without_typed_only(stored, Targets())
    if data_root is not None:
        stored |= {"data": move_root(stored.get("data"), stored.get("data_root"), data_root), "data_root": data_root}
    config = OmegaConf.create(
        {key: literal(value) for key, value in {**stored, "run": run}.items() if key not in RECORDED}
    )
    layer = Layer(run_path(run) / "config.yaml", "")
    composed = Composition(config=config, choices=stored["choices"], layers=(layer,))
    plain, problems = composed.plain()
    settings, found = read_settings(plain, composed.choices, Targets())
    finished = _finished(settings, composed, [*problems, *found], [])
    own = run_path(str(stored.get("run"))).resolve() == run_path(run).resolve()  # no copy, and not renamed
    return dataclasses.replace(finished, command=tuple(stored["command"]) if own else ())


def load_own(composed: Composition, kind: type[T]) -> T:
    """The settings of a script that starts from no run, with the words `typed` where it wants them; raises Mistakes."""
    plain, problems = composed.plain()
    reader = Reader(Targets())
    typed = {"typed": list(composed.command)} if "typed" in keys_with(NO_KEY, kind) else {}
    script = reader.section("", kind, plain | typed)
    allow(plain.get("extensions"))
    wrong = [*problems, *reader.problems, *extension_problems(plain.get("extensions"))]
    wrong += check_script(script, reader.problems) if script else []
    if wrong:
        raise Mistakes([composed.line(problem) for problem in wrong])
    return cast(T, script)
