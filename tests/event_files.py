"""What TensorBoard reads in a run's folder."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def board(folder: Path) -> EventAccumulator:
    """All events."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0, "images": 0})
    return events.Reload()


def points(folder: Path, tag: str) -> list[tuple[int, float]]:
    """A curve: the updates and the values, rounded."""
    return [(event.step, round(event.value, 5)) for event in board(folder).Scalars(tag)]
