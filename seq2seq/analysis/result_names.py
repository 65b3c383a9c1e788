"""The names under which results are kept: they tell what is not the run's own, in as many bytes as a name may have."""

import hashlib
from collections.abc import Sequence
from typing import Any

LONGEST = 200  # bytes; file systems allow 255, of which endings and temporary names take some


def told(value: Any) -> str:
    """A setting's value, in a few letters."""
    if isinstance(value, list | tuple):
        return "+".join(map(told, value)) or "none"
    return "null" if value is None else str(value)


def file_name(parts: Sequence[str]) -> str:
    """The parts as one name; of one that is too long the beginning, and a hash of the whole."""
    name = "-".join(parts).replace("/", "-")
    if len(name.encode()) <= LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:10]
    return name.encode()[: LONGEST - len(digest) - 1].decode(errors="ignore") + "-" + digest
