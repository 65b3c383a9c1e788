"""Compressors by file suffix."""

import bz2
import gzip
import lzma
from collections.abc import Callable

import pyarrow


def zstd(content: bytes) -> bytes:
    """Compress like the command zstd."""
    return pyarrow.compress(content, codec="zstd", asbytes=True)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd,
}
