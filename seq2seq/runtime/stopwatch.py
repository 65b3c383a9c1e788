"""Times of a device, measured without waiting for it."""

import time

import torch


class Stopwatch:
    """The seconds from its making to `stop`, as `float(stopwatch)`.

    On a GPU, where work is only handed over, the device itself notes both times when it comes to them; they are waited
    for when they are read.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._began = self._ended = self._now()

    def stop(self) -> None:
        """Here it ends."""
        self._ended = self._now()

    def __float__(self) -> float:
        began, ended = self._began, self._ended
        if isinstance(began, torch.cuda.Event) and isinstance(ended, torch.cuda.Event):
            ended.synchronize()
            return began.elapsed_time(ended) / 1000
        assert isinstance(began, float) and isinstance(ended, float)
        return ended - began

    def _now(self) -> float | torch.cuda.Event:
        if self._device.type != "cuda":
            return time.monotonic()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event
