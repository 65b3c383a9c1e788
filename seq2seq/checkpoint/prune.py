"""Which checkpoints a run keeps: the others are removed, but never the last ones that are intact."""

from collections.abc import Collection, Sequence

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.read import is_intact
from seq2seq.checkpoint.selection import best_validated, newest
from seq2seq.checkpoint.storage import discard, storage_errors

INTACT = 2  # checkpoints, where that many are to be kept


def prune(folder: RunFolder, keep_last: int, *, keep_best: int = 1, every: int = 1) -> None:
    """Keep the best checkpoint, the `keep_best` best validated ones, the newest, and the newest `keep_last` (at least
    one) of those whose step is a multiple of `every`; remove all others. Raises StorageError.

    Where fewer than INTACT of those are intact, the newest intact ones of the others are kept in their place.
    Checkpoints of other steps, saved for a validation or at a signal, are not needed once there is a newer one.
    """
    if keep_last < 1:
        raise ValueError(f"keep_last is {keep_last}: the newest checkpoint is needed to continue a run")
    best, steps = folder.best_checkpoint(), folder.steps()
    marked = {step for step in steps if best is not None and folder.checkpoint(step).resolve() == best.resolve()}
    kept = {*newest(steps, keep_last, every), *(best_validated(folder, keep_best) if keep_best > 1 else []), *marked}
    if kept >= set(steps):
        return
    kept |= _in_place_of_damaged(folder, steps, kept)
    for step in set(steps) - kept:
        path = folder.checkpoint(step)
        removed = path.with_name(f".tmp-{path.name}")  # no checkpoint any more, even if the removal is interrupted
        with storage_errors(f"remove checkpoint {path}"):
            path.rename(removed)
        discard(removed)


def _in_place_of_damaged(folder: RunFolder, steps: Sequence[int], kept: Collection[int]) -> set[int]:
    """The steps to keep because too few of those in `kept` are intact; usually none."""
    wanted, found = min(INTACT, len(kept)), 0
    others: set[int] = set()
    for step in [*sorted(kept, reverse=True), *sorted(set(steps) - set(kept), reverse=True)]:
        if found == wanted:
            break
        if is_intact(folder.checkpoint(step)):
            found += 1
            others |= {step} - set(kept)
    return others
