"""Checks the whole command line before Hydra, which stops at the first mistake and does not notice some."""

import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seq2seq.config.command_line.choice_files import Library
from seq2seq.config.command_line.imported import imported_words
from seq2seq.config.command_line.known_keys import KnownKeys
from seq2seq.config.command_line.overrides import (
    Word,
    as_text,
    choice_names,
    for_shell,
    pieces,
    read_value,
    take_apart,
    wants_text,
)
from seq2seq.config.command_line.preset import preset_problems
from seq2seq.config.command_line.run_ahead import over_its_run
from seq2seq.config.command_line.script import Script
from seq2seq.config.companions import companions
from seq2seq.config.composition import Composition, Layer, alone, compose
from seq2seq.config.extensions import allow, extension_problems, others_line
from seq2seq.config.paths import expanded
from seq2seq.config.problems import Mistakes, did_you_mean, listed
from seq2seq.config.reading import describe
from seq2seq.config.stored_run import stored_config
from seq2seq.config.yaml_reading import NotYaml, parse_yaml
from seq2seq.errors import CheckpointError

logger = logging.getLogger(__name__)


def check(script: Script, typed: Sequence[str]) -> tuple[list[str], Composition]:
    """The words (arguments of the command line) to pass to Hydra, and the configuration that they compose.

    Raises Mistakes with a line for each error, those in values included. The choices are composed once, and the typed
    values of keys are merged into the result. Words for Hydra itself (`hydra.verbose=true`) are not composed.
    """
    library = script.library
    if script.for_training and (more := companions(typed)):
        if implied := " ".join(word for word in more if not word.startswith("preset=")):
            logger.info("metrics=summarization also sets %s (type other values to change them)", implied)
        typed = [*typed, *more]
    brought, contradictions = imported_words(typed) if script.for_training else ([], [])
    words = [take_apart(word) for word in [*typed, *brought]]
    lines = [*contradictions, *check_words(library, words)]
    lines += [_several_choices(script, word) for word in words if _is_sweep(library, word)]
    groups = {word.key: word for word in words if _is_choice(library, word)}
    refused = {word.key for word in words if word.key in library.groups} - groups.keys()
    overlay = None
    if mistakes := _mistakes_in_experiment(library, groups):
        overlay = str(groups.pop("experiment").value)
        refused |= {"experiment", *library.groups_of_experiment(overlay)}
        lines += mistakes
    picked = {group: str(word.value) for group, word in groups.items()}
    if unreadable := library.mistakes_in_choices(picked):
        raise Mistakes([*lines, *unreadable])
    # The words for Hydra. A choice of null is left out, because it is the default wherever it is allowed.
    chosen = [word.typed for word in groups.values() if word.value != "null"]
    composed = _compose(library, chosen, lines)
    if script.looks_ahead:
        composed = over_its_run(composed, script.targets, words, lines)
    groups_only = len(chosen)
    lines += preset_problems(composed)
    known = _known_keys(script, composed, words, lines)
    for word in words:
        if _form_problem(library, word) or word.key in (*library.groups, *library.all_groups):
            continue
        if is_for_hydra(word.key):
            chosen.append(word.typed)
        elif known:
            ready, problem = _ready(script, word, known, refused)
            chosen += [ready] if ready else []
            lines += [f"{word.typed}: {problem}"] if problem else []
    if lines:
        whole = composed if len(chosen) == groups_only else _compose(library, chosen, lines)
        raise Mistakes([*lines, *_mistakes_when_loaded(script, whole, refused, overlay)])
    values = [word for word in chosen[groups_only:] if not is_for_hydra(word)]
    return [*library.search_path, *chosen], composed.with_values(values)


def is_for_hydra(word: str) -> bool:
    """Whether a word, or its key, is a setting of Hydra itself."""
    return word.lstrip("+~").startswith(("hydra.", "hydra/"))


def _hydra_reads(word: str) -> bool:
    from seq2seq.config.hydra_adapter import parse

    return parse(word) is not None


def check_words(library: Library, words: Sequence[Word]) -> list[str]:
    """The errors that can be found in the words alone: in their form, and choices that do not exist, also in sweeps."""
    lines = []
    chosen: dict[str, str] = {}
    for word in words:
        problem = _form_problem(library, word) or _choice_problem(library, word)
        if word.value is not None and chosen.setdefault(word.key, word.value) != word.value:
            problem = problem or f"{word.key} was given before ({word.key}={chosen[word.key]}); give it once"
        if problem:
            lines.append(f"{word.typed}: {problem}")
    return lines


def _form_problem(library: Library, word: Word) -> str | None:
    if word.prefix == "~":
        if word.value is None and word.key.startswith("metrics."):
            return None
        return "keys cannot be removed (only a metric can: ~metrics.NAME)"
    if not word.holds_a_key() or word.value is None:
        close = "" if word.key in library.groups else did_you_mean(word.key, library.groups)
        return f"expected KEY=VALUE{close}"
    if word.key.startswith("hydra.searchpath"):
        return "not supported; --config-dir DIR adds a folder of choices"
    if word.key.startswith(("hydra.", "hydra/")):
        return None if _hydra_reads(word.typed) else "Hydra cannot read it"
    if word.prefix:
        return f"write keys without {word.prefix}; only existing keys can be set"
    if word.key in library.all_groups and word.key not in library.groups:
        return f"{library.name} has no choice of {word.key}; it has: {listed(library.groups)}"
    return None


def _choice_problem(library: Library, word: Word) -> str | None:
    if word.key not in library.groups or word.value is None:
        return None
    for choice in pieces(word.value):
        may_be_none = choice == "null" and library.groups[word.key] is None
        for name in [] if may_be_none else _named(library, word.key, choice):
            if problem := library.unknown_choice(word.key, name):
                return problem
    return None


def _named(library: Library, group: str, choice: str) -> list[str]:
    """The typed choices of a group: those in brackets, if the group takes several."""
    return (choice_names(choice) if library.takes_several(group) else []) or [choice]


def _several_choices(script: Script, word: Word) -> str:
    """The error message for several choices, separated by commas, where one is expected."""
    together = script.library.takes_several(word.key)
    several = f"; for all of them in one run: {word.key}=[{word.value}]" if together else ""
    return f"{word.typed}: several choices {script.sweeps}{several}"


def _mistakes_in_experiment(library: Library, groups: Mapping[str, Word]) -> list[str]:
    name = groups["experiment"].value if "experiment" in groups else None
    return [] if name in (None, "null") else library.mistakes_in_experiment(str(name))


def _is_choice(library: Library, word: Word) -> bool:
    """Whether the word is a valid choice of a part."""
    sound = not _form_problem(library, word) and not _choice_problem(library, word)
    return word.key in library.groups and sound and not _is_sweep(library, word)


def _is_sweep(library: Library, word: Word) -> bool:
    return word.key in library.groups and word.value is not None and len(pieces(word.value)) > 1


def _compose(library: Library, words: list[str], lines: list[str]) -> Composition:
    """What these words choose; Hydra is only imported where there is something to compose."""
    if not words and not library.includes_files:
        return alone(library.folder / f"{library.name}.yaml", library.primary)
    try:
        return compose(library.folder, library.name, [*library.search_path, *words])
    except Mistakes as mistakes:
        raise Mistakes([*lines, *mistakes.lines]) from mistakes


def _known_keys(script: Script, composed: Composition, words: list[Word], lines: list[str]) -> KnownKeys | None:
    """The keys that may be typed; None if they are those of a run that cannot be read."""
    tree: dict[str, Any] = OmegaConf.to_container(composed.config, resolve=False)  # type: ignore[assignment]
    wrong = _allow(tree, words)
    choices, borrowed, elsewhere = composed.choices, {}, []
    if script.of_run:
        run = [word.value for word in words if word.key == "run" and word.value]
        if not run:
            lines.append("run=NAME: must be given (NAME means runs/NAME, anything with a slash is a path)")
            return None
        named = read_value(as_text(run[-1]))
        try:
            stored = stored_config(expanded(str(named.data if named else run[-1])))
        except CheckpointError as error:
            if not lines:
                raise
            lines.append(str(error))
            return None
        if line := others_line(stored, script.targets.packages, key="run", run=run[-1]):
            lines += [*wrong, line]
            return None
        choices, elsewhere = {**stored["choices"], **choices}, [key for key in stored if key not in tree]
        borrowed = {group: stored.get(group) for group in script.library.groups if group not in composed.choices}
    return KnownKeys(tree, script.keys, script.targets, script.library.groups, choices, borrowed, elsewhere)


def _allow(tree: Mapping[str, Any], words: list[Word]) -> list[str]:
    """Allow the packages of the key `extensions`, as composed and as typed; returns the errors in those typed."""
    allow(tree.get("extensions"))
    lines = []
    for word in words:
        if word.key == "extensions" and not word.prefix and (given := read_value(word.value or "")):
            allow(given.data)
            lines += [f"{word.typed}: {found.key}: {found.text}" for found in extension_problems(given.data)]
    return lines


def _ready(script: Script, word: Word, known: KnownKeys, refused: set[str]) -> tuple[str | None, str | None]:
    """The word for Hydra, or the error in it; neither for the keys of a refused choice, which cannot be checked."""
    key, value = word.key, word.value or ""
    if key.split(".")[0] in refused:
        return None, None
    if not (known.present(key) if word.prefix else known.known(key)):
        return None, known.unknown(key)
    if word.prefix:
        removable = known.composed(key)
        return (word.typed, None) if removable else (None, "it belongs to the run; choose other metrics: metrics=...")
    annotation = known.annotation(key)
    value = as_text(value) if wants_text(annotation, value) else value
    given = read_value(value)
    if given is None:
        inside = value[:1] in ("[", "{")
        advice = "Texts in it need quotes: 'a=b'" if inside else f"As text: {for_shell(key, value)}"
        return None, f"cannot be read; {key} takes {describe(annotation)}. {advice}"
    if given.several:
        text = f"As one text: {for_shell(key, value)}; as a list: {shlex.quote(f'{key}=[{value}]')}"
        return None, f"several values {script.sweeps}. {text}"
    # Hydra only changes keys that it composed. Others need `++`: an argument left to its default, a run's own key, and
    # a dictionary given as a whole.
    there = known.composed(key) and not isinstance(given.data, dict)
    return f"{'' if there else '++'}{key}={value}", None


def _mistakes_when_loaded(
    script: Script, composed: Composition, refused: set[str], overlay: str | None
) -> Sequence[str]:
    """The mistakes in the composed values; those of an experiment with errors are merged here."""
    if overlay:
        composed = _overlaid(composed, script.library.path("experiment", overlay))
    try:
        script.load(replace(composed, refused=frozenset(refused)))
    except Mistakes as mistakes:
        return mistakes.lines
    except CheckpointError:
        pass
    return ()


def _overlaid(composed: Composition, path: Path) -> Composition:
    try:
        content = parse_yaml(path.read_bytes())
        if not isinstance(content, dict):
            return composed
        content.pop("defaults", None)
        OmegaConf.set_struct(composed.config, False)
        config = OmegaConf.merge(composed.config, OmegaConf.create(content))
    except (OSError, NotYaml, OmegaConfBaseException):
        return composed
    return replace(composed, config=cast(DictConfig, config), layers=(*composed.layers, Layer(path, "")))
