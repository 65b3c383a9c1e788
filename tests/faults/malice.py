"""What a stranger may put into the folder of a run: each writes into a copy of one, and would leave a trace, the file
`canary`, if it were executed."""

import hashlib
import io
import json
import os
import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from faults.damage import sealed

STEP = "checkpoints/step-2"
ESCAPE = "\x1b]0;owned\x07\u202e"
Malice = Callable[[Path, Path], None]


class Executed:
    """A pickle that makes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.canary}",)


def config(*changes: tuple[str, Any]) -> Malice:
    """Values of the stored configuration, by dotted key; CANARY in a text stands for the canary's path."""

    def change(run: Path, canary: Path) -> None:
        content = yaml.safe_load((run / "config.yaml").read_text())
        for key, value in changes:
            *above, last = key.split(".")
            node = content
            for name in above:
                node = node[name]
            node[last] = yaml.safe_load(yaml.safe_dump(value).replace("CANARY", str(canary)))
        (run / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))

    return change


def yaml_text(text: str, *, instead: bool = False) -> Malice:
    """Text before the stored configuration, or instead of it."""

    def write(run: Path, canary: Path) -> None:
        rest = "" if instead else re.sub("^#.*\n", "", (run / "config.yaml").read_text())
        (run / "config.yaml").write_text(text.replace("CANARY", str(canary)) + rest)

    return write


def file(name: str, raw: bytes | Callable[[Path], bytes], *, seal: bool = False) -> Malice:
    """A file of the run with other content; `seal`: its manifest agrees."""

    def write(run: Path, canary: Path) -> None:
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).unlink(missing_ok=True)
        (run / name).write_bytes(raw if isinstance(raw, bytes) else raw(canary))
        if seal:
            sealed(run / STEP, [Path(name).name])

    return write


def link(name: str, to: str) -> Malice:
    """A link in the place of a file or folder of the run; OUTSIDE stands for a whole run elsewhere."""

    def write(run: Path, canary: Path) -> None:
        where = run / name
        where.rename(run / "aside") if where.is_dir() and not where.is_symlink() else where.unlink(missing_ok=True)
        where.symlink_to(to.replace("OUTSIDE", str((run.parent / "base").resolve())))

    return write


def pipe(name: str) -> Malice:
    """A pipe that nobody writes into."""

    def write(run: Path, canary: Path) -> None:
        (run / name).unlink(missing_ok=True)
        os.mkfifo(run / name)

    return write


def gone(name: str) -> Malice:
    """A file that is missing."""
    return lambda run, canary: (run / name).unlink()


def both(*several: Malice) -> Malice:
    """One after the other."""

    def write(run: Path, canary: Path) -> None:
        for each in several:
            each(run, canary)

    return write


def pickled(canary: Path) -> bytes:
    return pickle.dumps(Executed(canary))


def pickled_arrays(canary: Path) -> bytes:
    stream = io.BytesIO()
    objects = np.array([Executed(canary)], object)
    np.savez(stream, allow_pickle=True, translations=objects, frequent=objects)
    return stream.getvalue()


def bomb(canary: Path) -> bytes:
    """400 MB of zeros that say they are one array."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as members:
        for name in ("translations.npy", "frequent.npy"):
            with members.open(name, "w", force_zip64=True) as member:
                for _ in range(20):
                    member.write(bytes(10_000_000))
    return stream.getvalue()


def lying_array() -> bytes:
    """Arrays whose headers promise 10^12 numbers."""
    stream = io.BytesIO()
    header = b"{'descr': '<i4', 'fortran_order': False, 'shape': (1000000000000,), }"
    raw = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    with zipfile.ZipFile(stream, "w") as members:
        members.writestr("translations.npy", raw)
        members.writestr("frequent.npy", raw)
    return stream.getvalue()


def safetensors(header: dict[str, Any], *, length: int | None = None, data: bytes = b"") -> bytes:
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def forged_manifest(name: str, entry: str) -> Malice:
    """A manifest that lists a file elsewhere."""

    def write(run: Path, canary: Path) -> None:
        path = run / STEP / "manifest.json"
        content = json.loads(path.read_bytes())
        content["files"][name] = {"sha256": hashlib.sha256(b"").hexdigest(), "bytes": 0}
        content["files"][entry] = content["files"].pop(entry, {"sha256": "", "bytes": 0})
        path.write_text(json.dumps(content))

    return write


LAUGHS = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}' if n else 'lol'] * 9)}]\n" for n in range(12))
TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
