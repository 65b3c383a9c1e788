"""How much memory this process can still take: of the machine, of its control groups and within its own limit."""

import os
import re
import resource
from collections.abc import Iterator
from pathlib import Path

KIB = 1024
# Of each version of Linux's control groups: the limit, the memory in use, and what of it is files that can be dropped.
VERSIONS = {
    2: ("memory.max", "memory.current", "inactive_file"),
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def available_memory(root: Path = Path("/")) -> int:
    """Bytes, the least that any limit leaves; `root` holds the folders proc and sys. Swap is not counted."""
    return max(0, min([_of_machine(root), *_of_groups(root), *_of_process(root)]))


def _of_machine(root: Path) -> int:
    """What the system has for new programs; half of the memory where it does not say."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    if found:
        return int(found[1]) * KIB
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _of_groups(root: Path) -> Iterator[int]:
    """What the memory limits of this process's control group, and of those above it, leave."""
    for line in _text(root / "proc/self/cgroup").split("\n"):
        match line.split(":", 2):
            case ["0", "", path]:
                yield from _above(root / "sys/fs/cgroup", path, 2)
            case [_, controllers, path] if "memory" in controllers.split(","):
                yield from _above(root / "sys/fs/cgroup/memory", path, 1)


def _above(top: Path, path: str, version: int) -> Iterator[int]:
    """From the group at `path` up to the top, which inside of a container may be all there is."""
    limit, used, cache = VERSIONS[version]
    names = [name for name in path.split("/") if name not in ("", "..")]
    for depth in range(len(names), -1, -1):
        group = top.joinpath(*names[:depth])
        most, taken = _text(group / limit).strip(), _text(group / used).strip()
        if most.isdecimal() and taken.isdecimal():
            dropped = re.search(rf"^{cache} (\d+)$", _text(group / "memory.stat"), re.MULTILINE)
            yield int(most) - int(taken) + (int(dropped[1]) if dropped else 0)


def _of_process(root: Path) -> Iterator[int]:
    """What the limit of the address space (ulimit -v) leaves."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _text(root / "proc/self/statm").split()
    if limit != resource.RLIM_INFINITY and pages:
        yield limit - int(pages[0]) * resource.getpagesize()


def _text(file: Path) -> str:
    """The file's text; '' where it cannot be read."""
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
