"""The memory that a process can still take is the least that any of its limits leaves."""

import os
import resource
from pathlib import Path

import pytest

from seq2seq.runtime.available_memory import available_memory

GIB = 2**30


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 8 GiB free, and a process of a hundred pages without a limit of its own."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    write(tmp_path / "proc/meminfo", f"MemTotal: 99 kB\nMemAvailable:    {8 * 2**20} kB\n")
    write(tmp_path / "proc/self/statm", "100 50 3 1 0 4 0\n")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def group(folder: Path, limit: object, used: int, cache: int, version: int) -> None:
    most, taken, name = {
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        2: ("memory.max", "memory.current", "inactive_file"),
    }[version]
    write(folder / most, f"{limit}\n")
    write(folder / taken, f"{used}\n")
    write(folder / "memory.stat", f"anon 5\n{name} {cache}\n")


def test_without_limits_it_is_that_of_the_machine(root: Path) -> None:
    assert available_memory(root) == 8 * GIB


@pytest.mark.parametrize("version", [1, 2])
def test_the_group_and_those_above_it_count(root: Path, version: int) -> None:
    """Files that the system can drop do not count as used."""
    line, top = {1: ("4:cpu,memory:/a/b", "sys/fs/cgroup/memory"), 2: ("0::/a/b", "sys/fs/cgroup")}[version]
    write(root / "proc/self/cgroup", f"9:name=systemd:/x\n{line}\n")
    group(root / top / "a/b", 4 * GIB, 3 * GIB, GIB, version)
    assert available_memory(root) == 2 * GIB
    group(root / top / "a", 5 * GIB, 4 * GIB, 0, version)
    assert available_memory(root) == GIB


def test_a_group_that_a_container_hides_is_its_top(root: Path) -> None:
    write(root / "proc/self/cgroup", "0::/../outside\n")
    group(root / "sys/fs/cgroup", 3 * GIB, GIB, 0, 2)
    assert available_memory(root) == 2 * GIB


def test_a_group_without_a_limit_does_not_count(root: Path) -> None:
    write(root / "proc/self/cgroup", "0::/a\n")
    group(root / "sys/fs/cgroup/a", "max", GIB, 0, 2)
    assert available_memory(root) == 8 * GIB


def test_the_limit_of_the_address_space_counts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 100 * resource.getpagesize()
    monkeypatch.setattr(resource, "getrlimit", lambda _: (GIB + size, GIB + size))
    assert available_memory(root) == GIB
    monkeypatch.setattr(resource, "getrlimit", lambda _: (size // 2, size // 2))
    assert available_memory(root) == 0


def test_a_system_without_proc_has_half_of_its_memory(tmp_path: Path) -> None:
    assert available_memory(tmp_path) == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def test_this_machine_has_some() -> None:
    assert 0 < available_memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
