"""Files of parallel text, line N of one for line N of the others; they are replaced only when they are complete."""

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from seq2seq.checkpoint.storage import storage_errors
from seq2seq.files import flush_folder


@contextmanager
def parallel_writer(folder: Path, stem: str, *more: str) -> Iterator[Callable[[Sequence[str]], None]]:
    """A function that writes a line to each of STEM.source, STEM.target and STEM.<more>.

    The files appear at the end of the block, flushed to the disk; after an error they are as before. Raises
    StorageError.
    """
    names = [f"{stem}.{suffix}" for suffix in ("source", "target", *more)]
    temporary = [folder / f".tmp-{name}-{secrets.token_hex(6)}" for name in names]
    doing = f"write {folder / stem}.*"
    try:
        with ExitStack() as stack:
            with storage_errors(doing):
                files = [stack.enter_context(path.open("wb")) for path in temporary]

            def write(texts: Sequence[str]) -> None:
                with storage_errors(doing):
                    for file, text in zip(files, texts, strict=True):
                        file.write(text.encode() + b"\n")

            yield write
            with storage_errors(doing):
                for file in files:
                    file.flush()
                    os.fsync(file.fileno())
        with storage_errors(doing):
            for path, name in zip(temporary, names, strict=True):
                path.replace(folder / name)
            flush_folder(folder)
    finally:
        for path in temporary:
            path.unlink(missing_ok=True)
