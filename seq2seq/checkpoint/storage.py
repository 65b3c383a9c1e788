"""Writing that survives a full disk and a killed process: files are flushed to the disk and swapped in by renaming."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from seq2seq.errors import storage_failure
from seq2seq.files import flush_folder, regular, write_flushed


@contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Turn the failure of a disk into a StorageError that begins with 'cannot `doing`', of a pipe into a ClosedPipe."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise storage_failure(doing, error) from error


def replace_file(path: Path, text: str) -> None:
    """Write a small text file so that at every moment either the old or the new one is there, whole.

    Several processes may write the same file: the last one's stays. Raises StorageError.
    """
    temporary = path.with_name(f".tmp-{secrets.token_hex(6)}")  # unique to this call, and never too long
    with storage_errors(f"write {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_file(temporary, text)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        flush_folder(path.parent)


def write_file(path: Path, text: str) -> None:
    """Write `text` as UTF-8 and wait until it is on the disk."""
    write_flushed(path, text.encode("utf-8", errors="backslashreplace"))  # a file's name may hold what UTF-8 cannot


def flush_file(path: Path) -> None:
    """Wait until a file that another library wrote is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sha256(path: Path) -> str:
    """The SHA-256 of a regular file's content, in hexadecimal. Raises OSError."""
    with open(path, "rb", opener=regular) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def discard(folder: Path) -> None:
    """Remove a folder as far as the disk allows."""
    shutil.rmtree(folder, ignore_errors=True)
