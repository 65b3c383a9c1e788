"""Reading checkpoints: each file's SHA-256 is compared with the manifest before the file is used."""

import difflib
import logging
import os
import re
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from seq2seq.checkpoint.folder import (
    AVERAGE,
    AVERAGE_BEST,
    AVERAGED,
    MANIFEST,
    MODEL,
    OPTIMIZER,
    STATE,
    TENSORS,
    VALIDATED,
    RunFolder,
)
from seq2seq.checkpoint.selection import best_validated, evenly_spaced, newest
from seq2seq.checkpoint.storage import sha256
from seq2seq.checkpoint.weights import current_names, mean_of_files
from seq2seq.checkpoint.write import FORMAT, recover
from seq2seq.config.yaml_files import read_yaml
from seq2seq.errors import CheckpointError
from seq2seq.files import read_json

TRIES, PAUSE = 40, 0.05  # attempts to read checkpoints while another process changes them; seconds between attempts

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint, on the CPU: the requested groups by name, each with its tensors by name."""

    step: int
    groups: Mapping[str, dict[str, Tensor]]
    state: dict[str, Any]

    def group(self, name: str) -> dict[str, Tensor]:
        """The tensors of one group. Raises CheckpointError where the checkpoint was saved without it."""
        if name not in self.groups:
            raise CheckpointError(f"step {self.step} was saved without {name}{TENSORS}: it cannot continue with that")
        return self.groups[name]

    @property
    def model(self) -> dict[str, Tensor]:
        """The model's weights."""
        return self.group(MODEL)


def load(folder: RunFolder, which: str, groups: Collection[str] | None = None, *, average: int = 5) -> Checkpoint:
    """The checkpoint `which`: best, last, average, average-best, ema or step-N.

    `best` has the weights that were validated: those of the moving average, where the run keeps one (trainer.ema).
    `ema` is the moving average in the newest checkpoint. `average` is the mean of the models of the newest `average`
    checkpoints that are `evenly_spaced`; `average-best` is that of the `average` best validated ones, of the weights
    that were validated. Both have the step and state of the newest of these.

    Only the named `groups` are verified and read (the model is enough to translate); None: all that were saved. If a
    training saves or prunes at the same time, so that files vanish, reading is repeated. Raises CheckpointError if
    there is no checkpoint of that name or a file is broken.
    """
    for _ in range(TRIES):
        before = _entries(folder)
        try:
            return _load_named(folder, which, average, groups)
        except (CheckpointError, OSError, SafetensorError) as error:
            failure = error
        now = _entries(folder)
        if now == before:
            if not any(name.startswith(".old-") for name in now):  # .old-: a checkpoint that is being replaced
                break
            time.sleep(PAUSE)
    if isinstance(failure, CheckpointError):
        raise failure
    raise CheckpointError(f"run {folder.name}: checkpoint={which} cannot be read: {failure}") from failure


def label(which: str, step: int) -> str:
    """What reports call the checkpoint that was loaded as `which`: average, average-best, ema or step-N."""
    return which if which in (AVERAGE, AVERAGE_BEST, AVERAGED) else f"step-{step}"


def _entries(folder: RunFolder) -> dict[str, int]:
    """The current entries of the checkpoints' folder and of the best checkpoint's: inode by name."""
    found: dict[str, int] = {}
    for path in (folder.checkpoints, folder.best_checkpoint() or folder.best):
        with suppress(OSError):
            found |= {entry.name: entry.inode() for entry in os.scandir(path)}
    return found


def averaged_steps(folder: RunFolder, which: str, average: int) -> list[int]:
    """The rising steps of the checkpoints whose mean is `which`, average or average-best; none for other names."""
    steps = folder.steps()
    if which == AVERAGE and steps:
        return evenly_spaced(_not_only_best(folder, steps), average)
    return sorted(best_validated(folder, average)) if which == AVERAGE_BEST else []


def _load_named(folder: RunFolder, which: str, average: int, groups: Collection[str] | None) -> Checkpoint:
    steps = folder.steps()
    if averaged := averaged_steps(folder, which, average):
        return _load_mean(folder, averaged, average, which)
    if which == "last" and steps:
        return _load_path(folder.checkpoint(steps[-1]), groups)
    if which == "best" and (best := folder.best_checkpoint()):
        return _load_averaged(best, groups) if _has_average(best) else _load_path(best, groups)
    if which == AVERAGED and steps and _has_average(newest := folder.checkpoint(steps[-1])):
        return _load_averaged(newest, groups)
    step = re.fullmatch(r"step-(\d+)", which)
    if step and int(step[1]) in steps:
        return _load_path(folder.checkpoint(int(step[1])), groups)
    raise CheckpointError(_not_found(folder, which, steps))


def _not_found(folder: RunFolder, which: str, steps: Sequence[int]) -> str:
    if not steps:
        return f"run {folder.name} has no checkpoint yet: nothing is in {folder.checkpoints}"
    names = ["best"] * (folder.best_checkpoint() is not None) + ["last", AVERAGE]
    names += [AVERAGE_BEST] * bool(best_validated(folder, 1))
    names += [AVERAGED] * _has_average(folder.checkpoint(steps[-1])) + [f"step-{step}" for step in steps]
    close = difflib.get_close_matches(which, names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    if which == AVERAGE_BEST:
        hint = "none was validated, or only by an older version, which did not store the scores; "
    return f"run {folder.name} has no checkpoint={which}: {hint}there are: {', '.join(names)}"


def best_step(folder: RunFolder) -> int | None:
    """The step of the best checkpoint; None where none is marked. Raises CheckpointError."""
    best = folder.best_checkpoint()
    return None if best is None else _manifest(best / MANIFEST)[0]


def is_intact(path: Path) -> bool:
    """Whether all files of a checkpoint are as they were written."""
    try:
        _verify(path, _saved_groups(path))
    except CheckpointError:
        return False
    return True


def latest_intact(folder: RunFolder) -> Checkpoint | None:
    """The newest checkpoint that is intact, to continue from; None if the run has none yet.

    A broken one is skipped, with a warning. Raises CheckpointError if there are checkpoints but all are broken: a new
    run is never started over the files of another. Only the process that writes to the run may call this.
    """
    recover(folder)
    broken = []
    for step in reversed(folder.steps()):
        try:
            return _load_path(folder.checkpoint(step), None)
        except CheckpointError as error:
            broken.append(str(error))
            log.warning("%s; trying the previous one", error)
    if broken:
        raise CheckpointError(f"no checkpoint of run {folder.name} is intact:\n  " + "\n  ".join(broken))
    return None


def _load_path(path: Path, groups: Collection[str] | None) -> Checkpoint:
    names = _saved_groups(path) if groups is None else groups
    step, state = _verify(path, names)
    try:
        found = {name: current_names(load_file(path / f"{name}{TENSORS}")) for name in names}
    except (SafetensorError, KeyError, ValueError) as error:  # it matches the manifest, but was not written by `save`
        raise CheckpointError(f"{path} holds no tensors that can be read: {error}") from error
    return Checkpoint(step=step, groups=found, state=_read_json(state))


def _load_averaged(path: Path, groups: Collection[str] | None) -> Checkpoint:
    """The same, with the moving average of its weights in the place of its model."""
    names = _saved_groups(path) if groups is None else groups
    found = _load_path(path, dict.fromkeys(AVERAGED if name == MODEL else name for name in names))
    return replace(found, groups={**found.groups, MODEL: found.groups[AVERAGED]})


def _has_average(path: Path) -> bool:
    return AVERAGED in _saved_groups(path)


def _saved_groups(path: Path) -> list[str]:
    """The groups in a checkpoint's manifest; model and optimizer, which every checkpoint has, come first."""
    _, files = _manifest(path / MANIFEST)
    listed = [name.removesuffix(TENSORS) for name in files if name.endswith(TENSORS)]
    return [MODEL, OPTIMIZER, *(name for name in listed if name.isidentifier() and name not in (MODEL, OPTIMIZER))]


def _not_only_best(folder: RunFolder, steps: Sequence[int]) -> Sequence[int]:
    """Without the checkpoints that the run keeps only for average-best: they may be much older than the others. The
    best one stays, as in runs that keep no others."""
    trainer = read_yaml(folder.config_file).get("trainer") if folder.exists() else None
    match trainer:
        case {"keep_best": int(keep_best), "keep_last": int(keep_last), "save_every": every} if keep_best > 1:
            best = (folder.best_checkpoint() or folder.best).resolve()
            new = newest(steps, keep_last, every if isinstance(every, int) else 1)
            return [step for step in steps if step in new or folder.checkpoint(step).resolve() == best]
    return steps


def _load_mean(folder: RunFolder, steps: Sequence[int], wanted: int, which: str) -> Checkpoint:
    """The mean of the models of the rising `steps`, with the newest one's step and state."""
    if len(steps) < wanted:
        kind, kept = ("validated ", "; a run keeps trainer.keep_best of them") if which == AVERAGE_BEST else ("", "")
        few = f"only {len(steps)} {kind}checkpoint{'s' * (len(steps) != 1)}"
        log.warning("run %s has %s to average, not %d%s", folder.name, few, wanted, kept)
    log.info("averaging the checkpoints of run %s: %s", folder.name, ", ".join(f"step-{step}" for step in steps))
    paths = [folder.checkpoint(step) for step in steps]
    groups = [AVERAGED if which == AVERAGE_BEST and _has_average(path) else MODEL for path in paths]
    states = [_verify(path, [group])[1] for path, group in zip(paths, groups, strict=True)]
    mean = mean_of_files([path / f"{group}{TENSORS}" for path, group in zip(paths, groups, strict=True)])
    return Checkpoint(step=steps[-1], groups={MODEL: mean}, state=_read_json(states[-1]))


def _verify(path: Path, groups: Collection[str]) -> tuple[int, Path]:
    """Compare the files of these groups, and of the state, with the manifest. Returns the checkpoint's step and its
    state file: that of the validation, if there is one.

    Raises CheckpointError, which names the first file that is missing, unreadable or changed.
    """
    step, files = _manifest(path / MANIFEST)
    if path.name.startswith("step-") and path.name != f"step-{step}":
        raise CheckpointError(f"{path / MANIFEST} is of step {step}: the folder was renamed or the file is broken")
    state = VALIDATED if VALIDATED in files else STATE
    for name in (*(f"{group}{TENSORS}" for group in groups), state):
        file = path / name
        if name not in files:
            raise CheckpointError(f"{path / MANIFEST} is broken: it does not list {name}")
        try:
            found = {"sha256": sha256(file), "bytes": file.stat().st_size}
        except OSError as error:
            raise CheckpointError(f"{file} cannot be read: {error.strerror}") from error
        if found["bytes"] != files[name].get("bytes"):
            raise CheckpointError(f"{file} is broken: {found['bytes']} bytes, {files[name].get('bytes')} were written")
        if found["sha256"] != files[name].get("sha256"):
            raise CheckpointError(f"{file} is broken: its SHA-256 is not the one in {MANIFEST}")
    return step, path / state


def _manifest(file: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    """The step in a manifest, and its entry for each file."""
    manifest = _read_json(file)
    if manifest.get("format", FORMAT) != FORMAT:
        raise CheckpointError(f"{file} is of format {manifest['format']}; this version of seq2seq reads {FORMAT}")
    match manifest:
        case {"step": int(step), "files": dict(files)} if all(isinstance(entry, dict) for entry in files.values()):
            return step, files
    raise CheckpointError(f"{file} is broken: it does not hold a step and its files")


def _read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises CheckpointError where it is not one."""
    try:
        content = read_json(file)
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(f"{file} is broken: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} is broken: it does not hold keys and values")
    return content
