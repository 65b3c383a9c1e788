"""The machine that a training would run on: its devices, its memory, its disks, and the versions of the packages."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from seq2seq import __version__
from seq2seq.data.checks.findings import Finding
from seq2seq.runtime.cores import usable_cores
from seq2seq.runtime.device import cpu_multiplies_bf16

GIB = 2**30
PACKAGES = ("torch", "numpy", "sentencepiece", "sacrebleu", "hydra-core", "safetensors")
LITTLE_DISK = 2 * GIB  # a run keeps several checkpoints
LITTLE_MEMORY = 2 * GIB
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
USED = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")
STATISTICS = ("/sys/fs/cgroup/memory.stat", "/sys/fs/cgroup/memory/memory.stat")


@dataclass(frozen=True)
class Gpu:
    """A CUDA device; memory in bytes. `bf16`: whether it multiplies bf16 itself."""

    name: str
    memory: int
    free: int
    bf16: bool


@dataclass(frozen=True)
class Machine:
    """What there is; memory and disks in bytes, None where that is not known."""

    python: str
    packages: dict[str, str]
    system: str
    processor: str
    cores: int
    threads: int
    instructions: tuple[str, ...]
    bf16: bool
    gpus: tuple[Gpu, ...]
    memory: int | None
    available: int | None
    disks: dict[str, int]  # of each folder, what is free where it lies


def this_machine(folders: dict[str, Path]) -> Machine:
    """The machine of this process; `folders` are those that a training writes to, by name."""
    processor, flags = _processor()
    return Machine(
        python=platform.python_version(),
        packages={"seq2seq": __version__, **{name: found for name in PACKAGES if (found := _version(name))}},
        system=f"{platform.system()} {platform.release()}",
        processor=processor,
        cores=usable_cores(),
        threads=torch.get_num_threads(),
        instructions=tuple(name for name, flag in INSTRUCTIONS.items() if flag in flags),
        bf16=cpu_multiplies_bf16(),
        gpus=tuple(_gpus()),
        memory=_least(_of_system("MemTotal"), _number(LIMITS)),
        available=available_memory(),
        disks={name: _free(folder) for name, folder in folders.items()},
    )


INSTRUCTIONS = {
    **{"AVX2": "avx2", "AVX-512": "avx512f", "VNNI": "avx512_vnni", "AVX-VNNI": "avx_vnni"},
    **{"AVX512_BF16": "avx512_bf16", "AMX": "amx_bf16"},
}


def machine_findings(machine: Machine) -> Iterator[Finding]:
    """What may stop a training on this machine, or make it slow."""
    if not machine.gpus and _has_nvidia():
        text = "there is an NVIDIA GPU, but this PyTorch cannot use it"
        advice = "check its driver, and install a PyTorch with CUDA (make demo TORCH_INDEX=URL)"
        yield Finding("gpu", "serious", "machine", text, 1, advice=advice)
    for name, free in machine.disks.items():
        if free < LITTLE_DISK:
            text = f"{_gib(free)} GiB are free for {name}"
            advice = "make room, or lower trainer.keep_last" if name == "runs" else "make room, or cache_dir=FOLDER"
            yield Finding("disk", "check", "machine", text, 1, advice=advice)
    if machine.available is not None and machine.available < LITTLE_MEMORY:
        text = f"{_gib(machine.available)} GiB of memory are available"
        yield Finding("memory", "check", "machine", text, 1, advice="trainer.tokens_per_batch=1024 needs less")


def machine_lines(machine: Machine) -> Iterator[str]:
    """The machine in a few lines."""
    yield f"Python {machine.python} on {machine.system}"
    yield ", ".join(f"{name} {found}" for name, found in machine.packages.items())
    known = ", ".join(machine.instructions) or "no vector instructions that matter"
    yield f"CPU: {machine.processor}, {machine.cores} usable cores, {machine.threads} threads of torch; {known}"
    native = "bf16 is native" if machine.bf16 else "bf16 is emulated, so precision=auto is fp32 on it"
    yield f"     {native}"
    for number, gpu in enumerate(machine.gpus):
        bf16 = "bf16 is native" if gpu.bf16 else "bf16 is emulated, so precision=auto is fp32; precision=fp16 is faster"
        yield f"GPU {number}: {gpu.name}, {_gib(gpu.free)} of {_gib(gpu.memory)} GiB free; {bf16}"
    if not machine.gpus:
        yield "GPU: none that this torch can use"
    if machine.memory is not None and machine.available is not None:
        yield f"memory: {_gib(machine.available)} of {_gib(machine.memory)} GiB available"
    yield "disk: " + ", ".join(f"{_gib(free)} GiB free for {name}" for name, free in machine.disks.items())


def _has_nvidia() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*"))


def _gib(count: int) -> str:
    return f"{count / GIB:,.1f}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> tuple[str, set[str]]:
    """The processor's name, and its flags."""
    info = Path("/proc/cpuinfo")
    text = info.read_text(errors="replace") if info.exists() else ""
    fields = [line.partition(":") for line in text.split("\n\n")[0].split("\n")]
    known = {name.strip(): value.strip() for name, _, value in fields}
    return known.get("model name") or platform.processor() or platform.machine(), set(known.get("flags", "").split())


def _gpus() -> Iterator[Gpu]:
    if not torch.cuda.is_available():
        return
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        bf16 = torch.cuda.get_device_capability(number) >= (8, 0)
        yield Gpu(torch.cuda.get_device_name(number), total, free, bf16)


def available_memory() -> int | None:
    """What the system says, or what the limit of the process's group (a container's, a job's) leaves, if that is less:
    what it uses for files that were read counts as free."""
    limit = _number(LIMITS)
    used = max((_number(USED) or 0) - _inactive(), 0)
    return _least(_of_system("MemAvailable"), None if limit is None else max(limit - used, 0))


def _of_system(field: str) -> int | None:
    info = Path("/proc/meminfo")
    lines = info.read_text().split("\n") if info.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), None)


def _inactive() -> int:
    for name in STATISTICS:
        if Path(name).is_file():
            fields = [line.split() for line in Path(name).read_text().split("\n")]
            return next((int(field[1]) for field in fields if field[:1] == ["inactive_file"]), 0)
    return 0


def _least(*counts: int | None) -> int | None:
    return min((count for count in counts if count is not None), default=None)


def _number(files: tuple[str, ...]) -> int | None:
    """The number in the first of these files that has one; `max` is none."""
    for name in files:
        try:
            return int(Path(name).read_text())
        except (OSError, ValueError):
            continue
    return None


def _free(folder: Path) -> int:
    """Bytes that are free where the folder lies, or will."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free if os.access(place, os.R_OK) else sys.maxsize
