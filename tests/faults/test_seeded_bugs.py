"""The campaigns of kills find what they are meant to find: each of these bugs, put into a training, is caught."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faults.conftest import Campaign
from faults.injection import Call
from faults.trials import Trial, reference

KIND = "dropout"


def seed_not_restored() -> None:
    """Dropout depends on how many updates the process has made, not on the update's number."""
    from seq2seq.training import update

    made, seed_of = [0], update.seed_of

    def counted(seed: int, number: int, rank: int) -> int:
        made[0] += 1
        return seed_of(seed, made[0], rank)

    update.seed_of = counted


def schedule_off_by_one() -> None:
    """A continued run takes the learning rate of the next update."""
    from seq2seq.training.trainer import Trainer

    restore = Trainer.restore

    def shifted(self: Trainer, checkpoint: Any) -> None:
        restore(self, checkpoint)
        factor = self.schedule.factor
        self.schedule.factor = lambda update: factor(update + 1)  # type: ignore[method-assign]

    Trainer.restore = shifted  # type: ignore[method-assign]


def overwritten_in_place() -> None:
    """A checkpoint's files are written where they are read."""
    from seq2seq.checkpoint import write

    def save(folder: Any, step: int, groups: Any, state: Any) -> Path:
        final = folder.checkpoint(step)
        final.mkdir(parents=True, exist_ok=True)
        write._write_files(final, step, groups, state)
        return final

    from seq2seq.training import saving

    saving.save = save


def not_flushed() -> None:
    """No file of a checkpoint waits for the disk."""
    from seq2seq.checkpoint import write

    write.flush_file = lambda path: None
    write.write_file = lambda path, text: path.write_text(text)


def data_replayed() -> None:
    """A continued run begins its epoch again."""
    from seq2seq.training.trainer import Trainer

    restore = Trainer.restore

    def again(self: Trainer, checkpoint: Any) -> None:
        restore(self, checkpoint)
        self.state.position = 0

    Trainer.restore = again  # type: ignore[method-assign]


BUGS: list[Callable[[], None]] = [
    seed_not_restored,
    schedule_off_by_one,
    overwritten_in_place,
    not_flushed,
    data_replayed,
]


@pytest.mark.parametrize("bug", BUGS)
def test_each_bug_is_caught(campaign: Campaign, bug: Callable[[], None], tmp_path: Path) -> None:
    kind = "warm-up" if bug is schedule_off_by_one else KIND
    campaign.trials(1, fast=1 if bug in (seed_not_restored, not_flushed) else 0)
    whole = reference(kind, tmp_path / "reference", also=bug)
    found = [f"not flushed: {path}" for path in renamed_before_flushed(whole.calls)]
    trial = Trial(whole, tmp_path / "trial", also=bug)
    unlisted = next(
        number
        for number, call in enumerate(whole.calls)
        if call.name == "open" and call.paths[0].endswith("step-8/manifest.json")
    )
    trial.session(codes=[-9], first=unlisted)
    trial.finish()
    found += trial.problems
    campaign.report(f"seeded bug, {bug.__name__.replace('_', ' ')}", caught=int(bool(found)), findings=len(found))
    assert found, "it was not caught"


def test_nothing_is_renamed_before_it_is_flushed(campaign: Campaign, undisturbed: Callable[[str], Any]) -> None:
    """A law of every undisturbed training: after a power cut, a file with its final name has its content."""
    calls = undisturbed(KIND).calls
    early = [*renamed_before_flushed(calls)]
    campaign.report("files renamed before they were flushed", calls=len(calls), early=len(early))
    assert early == []


def renamed_before_flushed(calls: list[Call]) -> Iterator[str]:
    """The files of a run that were opened for writing, and renamed (or their folder) before an fsync."""
    open_ones: set[str] = set()
    for call in calls:
        path = call.paths[0]
        if call.name == "open" and path.startswith("runs/it/"):
            open_ones.add(path)
        elif call.name == "fsync":
            open_ones.discard(path)
        elif call.name == "os.rename":
            yield from (file for file in open_ones if file == path or file.startswith(f"{path}/"))
