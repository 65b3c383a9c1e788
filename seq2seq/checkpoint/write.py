"""Writing checkpoints: all files into a temporary folder, flushed to the disk, then one rename."""

import errno
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from seq2seq.checkpoint.folder import MANIFEST, MODEL, OPTIMIZER, STATE, TENSORS, VALIDATED, RunFolder
from seq2seq.checkpoint.storage import discard, flush_file, replace_file, sha256, storage_errors, write_file
from seq2seq.files import flush_folder

FORMAT = 1
OLD_BEST = ".old-best"
# What file systems without symbolic links answer when asked for one.
NO_LINKS = (errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


def save(folder: RunFolder, step: int, groups: Mapping[str, Mapping[str, Tensor]], state: dict[str, Any]) -> Path:
    """Save a checkpoint as checkpoints/step-N and return its folder; one that is there already is replaced.

    `groups` are the tensors by the name of their group: `model`, `optimizer` and any more, each a file of that name.
    `state` holds plain JSON values. At every moment each step is there whole or not at all. Raises StorageError
    (a full or read-only disk) with all earlier checkpoints untouched and nothing half-written left behind.
    """
    final = folder.checkpoint(step)
    beside = folder.checkpoints / f".tmp-step-{step}"
    with storage_errors(f"save checkpoint {final}"):
        folder.checkpoints.mkdir(parents=True, exist_ok=True)
        recover(folder)
        try:
            beside.mkdir()
            _write_files(beside, step, groups, state)
            _swap_in(beside, final)
        except BaseException:
            discard(beside)
            raise
        flush_folder(folder.checkpoints)
    return final


def _write_files(beside: Path, step: int, groups: Mapping[str, Mapping[str, Tensor]], state: dict[str, Any]) -> None:
    """The state, a file for each group and, last, the manifest that vouches for them."""
    assert {MODEL, OPTIMIZER} <= groups.keys() and all(name.isidentifier() for name in groups)
    write_file(beside / STATE, json.dumps(state))
    mode = (beside / STATE).stat().st_mode
    for name, tensors in groups.items():
        file = beside / f"{name}{TENSORS}"
        save_file(_separate(tensors), file, metadata={"format": "pt"})
        with suppress(PermissionError):  # some file systems have no modes
            file.chmod(mode)  # safetensors would let nobody but the owner read it
        flush_file(file)
    files = {path.name: _listed(path) for path in sorted(beside.iterdir()) if path.name != MANIFEST}
    write_file(beside / MANIFEST, json.dumps({"format": FORMAT, "step": step, "files": files}, indent=2) + "\n")
    flush_folder(beside)


def _listed(file: Path) -> dict[str, Any]:
    """What the manifest says of a file."""
    return {"sha256": sha256(file), "bytes": file.stat().st_size}


def save_validated(folder: RunFolder, step: int, state: dict[str, Any]) -> None:
    """Give a saved checkpoint the state after its validation, which `load` returns from now on.

    The weights are not written again, and the first state stays: the new one is a file of its own, which counts as soon
    as the manifest lists it. Raises StorageError, with the checkpoint as it was.
    """
    path = folder.checkpoint(step)
    with storage_errors(f"save the validation of checkpoint {path}"):
        manifest = json.loads((path / MANIFEST).read_bytes())
        assert VALIDATED not in manifest["files"], "a checkpoint is validated once"
        replace_file(path / VALIDATED, json.dumps(state))
        manifest["files"][VALIDATED] = _listed(path / VALIDATED)
        replace_file(path / MANIFEST, json.dumps(manifest, indent=2) + "\n")


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU, contiguous, no two sharing memory, as safetensors wants them; copied only where that needs it."""
    separate: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        storage = tensor.untyped_storage().data_ptr()
        if storage in storages:
            tensor = tensor.clone(memory_format=torch.contiguous_format)
        storages.add(storage)
        separate[name] = tensor
    return separate


def _swap_in(beside: Path, final: Path) -> None:
    """Rename `beside` to `final`. A folder cannot be renamed over a full one, so an old one steps aside first."""
    aside = final.with_name(f".old-{final.name}")
    if final.exists():
        final.rename(aside)
    beside.rename(final)
    discard(aside)


def recover(folder: RunFolder) -> None:
    """Tidy up after a process that was killed while it saved or pruned. Only the run's one writer may call this."""
    for leftover in folder.checkpoints.glob(".tmp-step-*"):
        discard(leftover)
    for aside in folder.checkpoints.glob(".old-step-*"):
        final = aside.with_name(aside.name.removeprefix(".old-"))
        if final.exists():
            discard(aside)
        else:
            aside.rename(final)
    if (folder.path / OLD_BEST).exists():
        if folder.best_checkpoint() is None:
            (folder.path / OLD_BEST).rename(folder.best)
        discard(folder.path / OLD_BEST)


def mark_best(folder: RunFolder, step: int) -> None:
    """Let `best` name checkpoints/step-N, in one swap: as a link, or as a file where there can be no links.

    A folder in its place is the copy that a tool made of the link. Raises StorageError.
    """
    named, beside = Path("checkpoints") / f"step-{step}", folder.path / ".tmp-best"
    with storage_errors(f"mark checkpoint {folder.checkpoint(step)} as the best"):
        beside.unlink(missing_ok=True)
        try:
            beside.symlink_to(named)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            write_file(beside, f"{named}\n")
        try:
            if folder.best.is_dir() and not folder.best.is_symlink():
                folder.best.rename(folder.path / OLD_BEST)
            beside.replace(folder.best)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        discard(folder.path / OLD_BEST)
        flush_folder(folder.path)


def prune(folder: RunFolder, keep_last: int, *, every: int = 1) -> None:
    """Remove all checkpoints but the newest `keep_last` (at least one) of those `every` so many updates, the newest of
    all and the best. Raises StorageError.

    What was saved in between, for a validation or at a signal, is of no more use once there is a newer one.
    """
    if keep_last < 1:
        raise ValueError(f"keep_last is {keep_last}: the newest checkpoint is needed to continue a run")
    best, steps = folder.best_checkpoint(), folder.steps()
    kept = {*[step for step in steps if step % every == 0][-keep_last:], *steps[-1:]}
    for step in steps:
        path = folder.checkpoint(step)
        if step not in kept and (best is None or path.resolve() != best.resolve()):
            leaving = path.with_name(f".tmp-{path.name}")  # gone at once, even if removing its files is interrupted
            with storage_errors(f"remove checkpoint {path}"):
                path.rename(leaving)
            discard(leaving)
