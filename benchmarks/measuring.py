"""Time and memory of pieces of work: in interleaved rounds, so that whatever else the machine does hits all alike."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

import torch

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler would log each start and stop to stderr
MIB = 2**20
Work = Callable[[], object]


@dataclass(frozen=True)
class Sample:
    """A figure of each round, in the order of the rounds."""

    rounds: list[float]

    @property
    def median(self) -> float:
        """The middle one."""
        return median(self.rounds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The first and the third; of a single round, the figure itself."""
        if len(self.rounds) < 2:
            return self.median, self.median
        low, _, high = quantiles(self.rounds, n=4, method="inclusive")
        return low, high

    def over(self, other: "Sample") -> float:
        """How many times as large as `other`: the median of the rounds' own ratios."""
        return median(mine / theirs for mine, theirs in zip(self.rounds, other.rounds, strict=True))


class Times(Sample):
    """Seconds of each round."""

    @property
    def milliseconds(self) -> float:
        """The median."""
        return 1000 * self.median

    @property
    def spread(self) -> tuple[float, float]:
        """The first and the third quartile, in milliseconds."""
        low, high = self.quartiles
        return 1000 * low, 1000 * high


def measure_times(work: Mapping[str, Work], rounds: int, device: torch.device) -> dict[str, Times]:
    """Run each piece once a round, all of them in each round; one round before counts for nothing."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for number in range(rounds + 1):
        for name, run in work.items():
            _wait(device)
            began = time.perf_counter()
            run()
            _wait(device)
            if number:
                seconds[name].append(time.perf_counter() - began)
    return {name: Times(each) for name, each in seconds.items()}


def measure_memory(run: Work, device: torch.device) -> float:
    """MiB that a piece of work holds at its peak, beyond what was held before it."""
    if device.type == "cuda":
        _wait(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        return (torch.cuda.max_memory_allocated(device) - before) / MIB
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiled:
        run()
    events: Sequence = profiled.profiler.kineto_results.events()  # type: ignore[union-attr]
    held = peak = 0
    for event in sorted((event for event in events if event.name() == "[memory]"), key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak / MIB


def gpu_memory() -> dict[str, float]:
    """MiB of this process's tensors on the GPU at their peak, and of what was reserved for them; empty on a CPU."""
    if not torch.cuda.is_initialized():
        return {}
    reserved = torch.cuda.max_memory_reserved() / MIB
    return {"peak_gpu_mib": torch.cuda.max_memory_allocated() / MIB, "peak_gpu_reserved_mib": reserved}


def _wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
