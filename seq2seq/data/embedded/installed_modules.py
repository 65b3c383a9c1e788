"""The Python files of the packages installed in this environment, from the installers' records."""

import csv
import importlib.metadata
import platform
import re
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath

from seq2seq.data.text import suggestion

# Folders left out: tests, and vendored packages.
NOT_OURS = {"test", "tests", "testing", "_vendor", "vendor", "_vendored", "third_party", "site-packages"}
OURSELVES = "seq2seq"  # an editable installation changes all the time


@dataclass(frozen=True)
class Module:
    """One file: its package, the package's version, the module's dotted name."""

    package: str
    version: str
    name: str
    path: Path


def installed_modules(packages: Iterable[str] | None, *, standard_library: bool) -> list[Module]:
    """The modules of these packages (all, if None), and Python's own if requested, sorted by package and name."""
    there = _distributions()
    wanted = there if packages is None else {_normal(name) for name in packages}
    found = [module for name in wanted & there.keys() for module in _modules_of(name, there[name])]
    if standard_library:
        found += _standard_modules()
    return sorted(found, key=lambda module: (module.package, module.name))


def unknown_packages(packages: Iterable[str] | None) -> list[str]:
    """Those that are not installed, each with the nearest one that is."""
    there = _distributions() if packages is not None else {}
    return [f"'{name}'{suggestion(name, sorted(there))}" for name in packages or () if _normal(name) not in there]


def site_packages() -> list[str]:
    """The folders of this environment's packages; other entries of the interpreter's path are ignored."""
    paths = sysconfig.get_paths()
    return list(dict.fromkeys((paths["purelib"], paths["platlib"])))


def _distributions() -> dict[str, importlib.metadata.Distribution]:
    found: dict[str, importlib.metadata.Distribution] = {}
    for distribution in importlib.metadata.distributions(path=site_packages()):
        name = _normal(distribution.name or "")
        if name and name != OURSELVES:
            found.setdefault(name, distribution)
    return found


def _normal(name: str) -> str:
    """A package's normalised name: without case, dots and underscores."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _modules_of(package: str, distribution: importlib.metadata.Distribution) -> Iterator[Module]:
    version = distribution.version  # read from a file at each access
    record = distribution.read_text("RECORD") or ""  # written by pip and others; .files would look up each file
    for name, *_ in csv.reader(line for line in record.split("\n") if ".py," in line):
        if _counts(file := PurePosixPath(name)):
            yield Module(package, version, _dotted(file), Path(str(distribution.locate_file(name))))


def _standard_modules() -> Iterator[Module]:
    folder = Path(sysconfig.get_path("stdlib"))
    inner = (entry for entry in folder.iterdir() if entry.is_dir() and entry.name not in NOT_OURS)
    for path in chain(folder.glob("*.py"), *(entry.rglob("*.py") for entry in inner)):
        if _counts(file := PurePosixPath(path.relative_to(folder).as_posix())):
            yield Module("python", platform.python_version(), _dotted(file), path)


def _counts(file: PurePosixPath) -> bool:
    """Whether a recorded file is the package's own code, and not a test."""
    test = file.name.startswith("test_") or file.name == "conftest.py"
    return file.suffix == ".py" and not test and not ({"..", *NOT_OURS} & set(file.parts))


def _dotted(file: PurePosixPath) -> str:
    """pandas.core.frame for pandas/core/frame.py."""
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")
