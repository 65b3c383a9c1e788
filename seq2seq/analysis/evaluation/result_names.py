"""The file names of results: short, with a word for each setting that is not the run's own."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST = 100  # bytes, so that a name can be read; file systems allow 255
DIGEST = 8  # characters of the hash after an ambiguous name
OBVIOUS = ("search.", "metrics.")  # sections that are omitted in a long name


def value_text(value: Any) -> str:
    """A setting's value as short text."""
    if isinstance(value, list | tuple):
        return "+".join(map(value_text, value)) or "none"
    return "null" if value is None else str(value)


def file_name(parts: Sequence[str], changed: Mapping[str, Any]) -> str:
    """The parts, and a word for each changed setting: test-last-search=greedy-search.max_length=9; the data come last.

    If that is too long, the keys are written without their sections. Of a path only the file's name is used. If a name
    is ambiguous, or still too long, a hash follows it, so that two settings never share a name.
    """
    keys = sorted(changed, key=lambda key: (key.split(".")[0] == "data", key))
    whole = [*parts, *(f"{key}={value_text(changed[key])}" for key in keys)]
    digest = hashlib.sha256("\n".join(whole).encode(errors="backslashreplace")).hexdigest()[:DIGEST]
    for sections in ((), OBVIOUS):
        named = {key: _without(sections, key) for key in keys}
        full = [*parts, *(f"{named[key]}={value_text(changed[key])}" for key in keys)]
        words = [*map(_clean, parts), *(f"{_clean(named[key])}={_clean(_short(changed[key]))}" for key in keys)]
        name = "-".join(words) if words == full else "-".join([*words, digest])
        if len(name.encode()) <= LONGEST:
            return name
    return f"{_fitting(words, LONGEST - DIGEST - 1)}-{digest}"


def _without(sections: Sequence[str], key: str) -> str:
    section = next((section for section in sections if key.startswith(section)), "")
    return key.removeprefix(section)


def _short(value: Any) -> str:
    """A value as `value_text`, of a path its last part."""
    if isinstance(value, list | tuple):
        return "+".join(map(_short, value)) or "none"
    text = value_text(value)
    return text.rstrip("/").rpartition("/")[2] or text


def _clean(text: str) -> str:
    """Only characters that are allowed in file names everywhere."""
    return re.sub(r"[^\w.,=+#@%~()\[\]-]+", "_", text)


def _fitting(words: Sequence[str], longest: int) -> str:
    """As many of the words as fit into this many bytes, at least the beginning of the first."""
    name = ""
    for word in words:
        longer = f"{name}-{word}" if name else word
        if len(longer.encode()) > longest:
            break
        name = longer
    return name or words[0].encode()[:longest].decode(errors="ignore")
