"""Damage to files: bytes, JSON values and sums, at random, and a limit of time for what reads them."""

import hashlib
import json
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BYTES = [b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x1b[31m", b"\xef\xbb\xbf", b"\xff\xfe", b"\r", b"\n", b"\t"]
BYTES += [b"\xe2\x80\xa8", b"\xe2\x80\xae", b"\xc2\x85", b"\x0b", b"\x0c", b"\xc0\xaf", b"\xf4\x90\x80\x80"]
BYTES += [b'"', b"'", b",", b";", b"[", b"]", b"{", b"}", b":", b"\\", b"\\ud800", b"\\u0000", b"-", b"0", b"e9999"]
BYTES += [b"NaN", b"Infinity", b"null", b"true", b"1e400", b"9" * 400, b"9" * 5000, b"[" * 3000, b'{"a":' * 3000]
BYTES += [b"\x1f\x8b\x08\x00", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"PAR1", b"\x93NUMPY"]
VALUES: list[Any] = [None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 10**400, 0.5, -0.0, 1e308, float("nan")]
VALUES += [float("inf"), "", "x", "0", "../../x", "a\0b", "\ud800", "\u202e\x1b[31m", "x" * 3000, [], {}, [[]]]
VALUES += [[1, 2], ["x"], {"x": 1}, [None], [0.5, "x"], {"": {"": {}}}, [[[[[[]]]]]]]
LONGEST = 20  # seconds of this process's time for one input; one that takes longer hangs


def damaged(chance: random.Random, raw: bytes) -> bytes:
    """The bytes with one to three places changed: inserted, removed, replaced, repeated or cut off."""
    for _ in range(chance.choice([1, 1, 2, 3])):
        place = chance.randrange(len(raw) + 1)
        head, tail = raw[:place], raw[place:]
        size = chance.choice([1, 1, 2, 4, 20, 200])
        kinds = [
            head + chance.choice(BYTES) + tail,
            head + tail[size:],
            head + chance.randbytes(min(size, 4)) + tail[min(size, 4) :],
            head + tail[:size] * 2 + tail[size:],
            head,
            tail,
        ]
        raw = chance.choices(kinds, [6, 3, 6, 2, 1, 1])[0]
    return raw


def damaged_json(chance: random.Random, raw: bytes) -> bytes:
    """A JSON text with another value, key or type in one or two places; sometimes its bytes damaged instead."""
    if chance.random() < 0.25:
        return damaged(chance, raw)
    content = json.loads(raw)
    for _ in range(chance.choice([1, 1, 2])):
        content = _changed(chance, content)
    return json.dumps(content).encode()


def _changed(chance: random.Random, node: Any) -> Any:
    """The same tree with one place changed, somewhere below or here."""
    if not node or not isinstance(node, dict | list) or chance.random() < 0.1:
        return chance.choice(VALUES)
    if isinstance(node, list):
        place = chance.randrange(len(node))
        changed = [*node[:place], _changed(chance, node[place]), *node[place + 1 :]]
        return changed if chance.random() < 0.8 else [*changed, chance.choice(VALUES)]
    key = chance.choice([*node])
    found = chance.random()
    if found < 0.1:
        return {name: value for name, value in node.items() if name != key}
    if found < 0.2:
        return {**node, chance.choice(["", "x", "../x", "a\0b", "\ud800", "9" * 20]): chance.choice(VALUES)}
    return {**node, key: _changed(chance, node[key])}


def sealed(checkpoint: Path, names: list[str]) -> None:
    """Make the manifest of a checkpoint agree with these files as they are now."""
    manifest = json.loads((checkpoint / "manifest.json").read_bytes())
    for name in names:
        raw = (checkpoint / name).read_bytes()
        manifest["files"][name] = {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))


@contextmanager
def time_limit(seconds: int = LONGEST) -> Iterator[None]:
    """Raise where the block takes longer, in this process's own time."""

    def ring(*_: Any) -> None:
        raise BaseException(f"hangs: more than {seconds} s")  # not caught by any code below

    before = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
