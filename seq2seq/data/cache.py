"""A folder of derived files, each entry under the hash of what it was made from: written once, whole, and verified."""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from seq2seq.errors import StorageError

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
ABANDONED = 86400  # seconds


def key_of(*parts: object) -> str:
    """A hash of plain values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def cached(cache: Path, kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """The folder cache/kind/key. Where it is missing or damaged, `build` fills a new one, which is then moved there.

    Processes that build the same entry at once do not disturb each other: the first to finish puts it in place.
    Raises StorageError where the disk is full or not writable, and whatever `build` raises.
    """
    place = cache / kind / key
    if place.exists():
        if is_intact(place):
            return place
        log.warning("the cache entry %s is damaged and is made again", place)
        _remove(place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _sweep(place.parent)
        fresh = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=place.parent))
        try:
            build(fresh)
            _write_manifest(fresh)
            _put_in_place(fresh, place)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(
            f"the cache {cache} cannot be written: {reason}. Free some space or choose another."
        ) from error
    return place


def is_intact(folder: Path) -> bool:
    """Whether the folder holds exactly what its manifest lists, byte for byte."""
    try:
        listed = json.loads((folder / MANIFEST).read_bytes())
        return bool(listed == _hashes(folder))
    except (OSError, ValueError):
        return False


def _hashes(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name != MANIFEST:
            with path.open("rb") as stream:
                found[path.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def _write_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text(json.dumps(_hashes(folder), indent=1))


def _put_in_place(fresh: Path, place: Path) -> None:
    try:
        fresh.rename(place)
    except OSError:
        if not is_intact(place):  # neither ours nor another process's
            raise


def _sweep(folder: Path) -> None:
    """Delete what a killed process left half made, once it is too old to be still in the making."""
    for left in folder.glob(".*-*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left, ignore_errors=True)


def _remove(place: Path) -> None:
    """Take an entry out of the way in one step, then delete it; another process may have been faster."""
    aside = place.with_name(f".{place.name}-damaged-{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        place.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)
