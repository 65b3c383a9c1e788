"""A command that takes the words of a training, given a run that exists: its settings take the place of the words."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from seq2seq.config.changes import over
from seq2seq.config.command_line.overrides import Word, as_text, read_value
from seq2seq.config.composition import Composition
from seq2seq.config.extensions import others_line
from seq2seq.config.paths import expanded
from seq2seq.config.stored_run import stored_config
from seq2seq.config.targets import Targets
from seq2seq.config.typed_only import without_typed_only
from seq2seq.errors import CheckpointError

NOT_OF_THE_RUN = ("extensions", "cache_dir")  # what only the command line gives


def over_its_run(composed: Composition, targets: Targets, words: Sequence[Word], lines: list[str]) -> Composition:
    """The composition with the settings of the run that `run=NAME` names in place of what was not typed.

    A run that is still to be trained has data or an experiment among the words, which then describe it. Without them it
    must exist: raises CheckpointError, or adds to `lines` where there are others.
    """
    typed = {word.key: word.value for word in words if word.value is not None}
    if "run" not in typed or typed.keys() & {"data", "experiment"}:
        return composed
    named = read_value(as_text(str(typed["run"])))
    run = expanded(str(named.data if named else typed["run"]))
    try:
        stored = stored_config(run)
    except CheckpointError as error:
        error = CheckpointError(f"{error}. For the data of a new run type data=CHOICE or experiment=NAME, too")
        if not lines:
            raise error from None
        lines.append(str(error))
        return composed
    if line := others_line(stored, targets.packages, key="run", run=run):
        lines.append(line)
        return composed
    known, _ = without_typed_only(stored, targets)
    own = OmegaConf.to_container(composed.config, resolve=False)
    kept = {key: value for key, value in cast(dict[str, Any], own).items() if _is_kept(key, known, typed)}
    with_run = replace(composed, config=cast(DictConfig, OmegaConf.merge(composed.config, {"run": run})))
    merged = over(known, OmegaConf.create(kept), with_run)
    return replace(merged, choices={**merged.choices, "preset": "none"}, layers=merged.layers)


def _is_kept(key: str, stored: dict[str, Any], typed: dict[str, str]) -> bool:
    """Whether the command's own value counts: of a group that was typed, and of what a run does not store."""
    return key in typed or key not in stored or key in NOT_OF_THE_RUN
