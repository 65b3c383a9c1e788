"""The machine: what limits its memory, and which of its properties are reported."""

from dataclasses import replace
from pathlib import Path

import pytest

from seq2seq.analysis.doctor import machine
from seq2seq.analysis.doctor.machine import Gpu, Machine, machine_findings, machine_lines, this_machine

GIB = 2**30
USUAL = Machine(
    python="3.12.1",
    packages={"seq2seq": "1", "torch": "2"},
    system="Linux 6",
    processor="A CPU",
    cores=8,
    threads=4,
    instructions=("AVX2",),
    bf16=False,
    gpus=(),
    memory=16 * GIB,
    available=8 * GIB,
    disks={"runs": 50 * GIB, "cache_dir": 50 * GIB},
)


def test_this_machine_is_described() -> None:
    found = this_machine({"runs": Path("no/such/folder")})
    assert found.cores >= 1
    assert found.packages["torch"]
    assert found.disks["runs"] > 0
    assert found.memory is None or found.available is None or 0 < found.available <= found.memory
    assert len(list(machine_lines(found))) >= 5


@pytest.mark.parametrize(
    ("limit", "used", "inactive", "expected"),
    [
        ("max", "5", 0, 1000),
        ("600", "100", 0, 500),
        ("600", "100", 50, 550),
        ("600", "900", 0, 0),
        ("5000", "0", 0, 1000),
    ],
)
def test_available_memory_is_what_the_group_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, used: str, inactive: int, expected: int
) -> None:
    for name, text in (("max", limit), ("current", used), ("stat", f"anon 3\ninactive_file {inactive}\n")):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(machine, "LIMITS", (str(tmp_path / "max"),))
    monkeypatch.setattr(machine, "USED", (str(tmp_path / "current"),))
    monkeypatch.setattr(machine, "STATISTICS", (str(tmp_path / "stat"),))
    monkeypatch.setattr(machine, "_of_system", lambda field: 1000)
    assert machine.available_memory() == expected


@pytest.mark.parametrize(
    ("found", "kinds"),
    [
        (USUAL, []),
        (replace(USUAL, available=GIB), ["memory"]),
        (replace(USUAL, disks={"runs": GIB, "cache_dir": 9 * GIB}), ["disk"]),
        (replace(USUAL, available=None), []),
    ],
)
def test_what_may_stop_a_training_is_found(found: Machine, kinds: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_has_nvidia", lambda: False)
    assert [each.kind for each in machine_findings(found)] == kinds


def test_a_gpu_that_torch_cannot_use_is_serious(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_has_nvidia", lambda: True)
    (finding,) = machine_findings(USUAL)
    assert (finding.kind, finding.level) == ("gpu", "serious")
    assert list(machine_findings(replace(USUAL, gpus=(Gpu("H100", 80 * GIB, 70 * GIB, True),)))) == []


def test_bf16_is_native_or_emulated() -> None:
    gpus = (Gpu("V100", 16 * GIB, 15 * GIB, False), Gpu("H100", 80 * GIB, 70 * GIB, True))
    lines = list(machine_lines(replace(USUAL, gpus=gpus, bf16=True)))
    assert "     bf16 is native" in lines
    assert (
        "GPU 0: V100, 15.0 of 16.0 GiB free; bf16 is emulated, so precision=auto is fp32; precision=fp16 is faster"
        in lines
    )
    assert "GPU 1: H100, 70.0 of 80.0 GiB free; bf16 is native" in lines
