"""Writing checkpoints: all files are written into a temporary folder and flushed to disk, which is then renamed."""

import errno
import json
from collections.abc import Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from seq2seq.checkpoint.folder import MANIFEST, MODEL, OPTIMIZER, STATE, TENSORS, VALIDATED, RunFolder
from seq2seq.checkpoint.storage import discard, flush_file, replace_file, sha256, storage_errors, write_file
from seq2seq.files import flush_folder

FORMAT = 1
OLD_BEST, NEW_BEST = ".old-best", ".tmp-best"
# Error numbers of os.symlink on file systems without symbolic links.
NO_SYMLINKS = (errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


def save(folder: RunFolder, step: int, groups: Mapping[str, Mapping[str, Tensor]], state: dict[str, Any]) -> Path:
    """Save a checkpoint as checkpoints/step-N, replacing an existing one, and return its folder.

    `groups` are tensors by group name: `model`, `optimizer` and possibly others, each saved to a file of that name.
    `state` holds plain JSON values. A checkpoint is always either complete or absent. If the disk is full or read-only,
    raises StorageError, changes no earlier checkpoint and leaves no incomplete file.
    """
    final = folder.checkpoint(step)
    temporary = folder.checkpoints / f".tmp-step-{step}"
    with storage_errors(f"save checkpoint {final}"):
        folder.checkpoints.mkdir(exist_ok=True)  # without the run's folder there is nothing to add to
        recover(folder)
        try:
            temporary.mkdir()
            _write_files(temporary, step, groups, state)
            _rename(temporary, final)
        except BaseException:
            discard(temporary)
            raise
        flush_folder(folder.checkpoints)
    return final


def _write_files(path: Path, step: int, groups: Mapping[str, Mapping[str, Tensor]], state: dict[str, Any]) -> None:
    """Write the state, a file for each group and, last, the manifest with their checksums."""
    assert {MODEL, OPTIMIZER} <= groups.keys() and all(name.isidentifier() for name in groups)
    write_file(path / STATE, json.dumps(state))
    mode = (path / STATE).stat().st_mode
    for name, tensors in groups.items():
        file = path / f"{name}{TENSORS}"
        save_file(_unshared(tensors), file, metadata={"format": "pt"})
        with suppress(PermissionError):  # some file systems have no modes
            file.chmod(mode)  # safetensors makes files that only the owner can read
        flush_file(file)
    files = {file.name: _manifest_entry(file) for file in sorted(path.iterdir()) if file.name != MANIFEST}
    write_file(path / MANIFEST, json.dumps({"format": FORMAT, "step": step, "files": files}, indent=2) + "\n")
    flush_folder(path)


def _manifest_entry(file: Path) -> dict[str, Any]:
    """A file's checksum and size, as the manifest lists them."""
    return {"sha256": sha256(file), "bytes": file.stat().st_size}


def save_validated(folder: RunFolder, step: int, state: dict[str, Any]) -> None:
    """Add to a saved checkpoint the state after its validation, which `load` returns from then on.

    The weights are not written again, and the first state is kept: the new one is a separate file, which is used once
    the manifest lists it. If it cannot be written, raises StorageError and leaves the checkpoint valid.
    """
    path = folder.checkpoint(step)
    with storage_errors(f"save the validation of checkpoint {path}"):
        manifest = json.loads((path / MANIFEST).read_bytes())
        assert VALIDATED not in manifest["files"], "a checkpoint is validated once"
        replace_file(path / VALIDATED, json.dumps(state))
        manifest["files"][VALIDATED] = _manifest_entry(path / VALIDATED)
        replace_file(path / MANIFEST, json.dumps(manifest, indent=2) + "\n")


def _unshared(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as safetensors requires: on the CPU, contiguous, without shared memory. Copies only where needed."""
    unshared: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        storage = tensor.untyped_storage().data_ptr()
        if storage in storages:
            tensor = tensor.clone(memory_format=torch.contiguous_format)
        storages.add(storage)
        unshared[name] = tensor
    return unshared


def _rename(temporary: Path, final: Path) -> None:
    """Rename `temporary` to `final`. A folder cannot replace one that is not empty: an old one is renamed first."""
    old = final.with_name(f".old-{final.name}")
    if final.exists():
        final.rename(old)
    temporary.rename(final)
    discard(old)


def recover(folder: RunFolder) -> None:
    """Clean up after a process that was killed while it saved or pruned. Only the process that writes to the run may
    call this."""
    for leftover in folder.checkpoints.glob(".tmp-step-*"):
        discard(leftover)
    files = folder.checkpoints.glob("step-*/.tmp-*"), folder.path.glob(".tmp-config.yaml-*"), [folder.path / NEW_BEST]
    for file in chain(*files):
        with suppress(OSError):
            file.unlink()
    for old in folder.checkpoints.glob(".old-step-*"):
        final = old.with_name(old.name.removeprefix(".old-"))
        if final.exists():
            discard(old)
        else:
            old.rename(final)
    if (folder.path / OLD_BEST).exists():
        if folder.best_checkpoint() is None:
            (folder.path / OLD_BEST).rename(folder.best)
        discard(folder.path / OLD_BEST)


def complete_best(folder: RunFolder, step: int | None) -> None:
    """Mark checkpoints/step-N as the best one where a process was killed, or failed, before it could. Raises
    StorageError."""
    if step is not None and step in folder.steps():
        marked = folder.best_checkpoint()
        if marked is None or marked.resolve() != folder.checkpoint(step).resolve():
            mark_best(folder, step)


def mark_best(folder: RunFolder, step: int) -> None:
    """Atomically set `best` to checkpoints/step-N: a symbolic link, or a text file where links are not supported.

    A folder named `best`, which some tools make when they copy a link, is replaced. Raises StorageError.
    """
    target, temporary = Path("checkpoints") / f"step-{step}", folder.path / NEW_BEST
    with storage_errors(f"mark checkpoint {folder.checkpoint(step)} as the best"):
        temporary.unlink(missing_ok=True)
        try:
            temporary.symlink_to(target)
        except OSError as error:
            if error.errno not in NO_SYMLINKS:
                raise
            write_file(temporary, f"{target}\n")
        try:
            if folder.best.is_dir() and not folder.best.is_symlink():
                folder.best.rename(folder.path / OLD_BEST)
            temporary.replace(folder.best)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        discard(folder.path / OLD_BEST)
        flush_folder(folder.path)
