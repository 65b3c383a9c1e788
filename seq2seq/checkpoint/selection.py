"""Which checkpoints a run keeps, and which of them are averaged."""

from collections.abc import Sequence
from itertools import count

from seq2seq.checkpoint.folder import MANIFEST, VALIDATED, RunFolder
from seq2seq.files import read_json


def newest(steps: Sequence[int], keep_last: int, every: int) -> list[int]:
    """Of the rising `steps` the last one, and the last `keep_last` multiples of `every`."""
    due = [step for step in steps if step % every == 0]
    return sorted({*due[-keep_last:], *steps[-1:]})


def best_validated(folder: RunFolder, wanted: int) -> list[int]:
    """The steps of the best validated checkpoints, at most `wanted`, best first; of equal ones the earlier is better.

    What cannot be read does not count, nor do the validations of older versions, which did not keep their ranking.
    """
    rankings = {step: _ranking(folder, step) for step in folder.steps()}
    validated = [step for step, ranking in rankings.items() if ranking is not None]
    return sorted(validated, key=rankings.__getitem__, reverse=True)[:wanted]  # type: ignore[arg-type]


def _ranking(folder: RunFolder, step: int) -> list[float] | None:
    """The sort key that a checkpoint's validation has stored; None where it has not been validated."""
    path = folder.checkpoint(step)
    try:
        if VALIDATED not in read_json(path / MANIFEST)["files"]:
            return None
        ranking = read_json(path / VALIDATED)["ranking"]
        return [float(value) for value in ranking] or None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def evenly_spaced(steps: Sequence[int], wanted: int) -> list[int]:
    """The longest arithmetic sequence in the ascending `steps`, of at most `wanted` steps. Of several as long, the one
    that ends last; of these, the one with the smallest difference.

    Checkpoints are also saved at irregular steps: before a validation, at a signal and at the end. In a mean, these
    would give their part of the training more weight than the others.
    """
    if wanted < 1:
        raise ValueError(f"average is {wanted}: expected a number of checkpoints, at least 1")
    existing, sequences = set(steps), [[steps[-1]]]
    for end in range(len(steps) - 1, 0, -1) if wanted > 1 else ():
        for before in range(end - 1, -1, -1):
            last, difference = steps[end], steps[end] - steps[before]
            length = next(n for n in count(2) if n == wanted or last - n * difference not in existing)
            sequences.append([last - n * difference for n in range(length - 1, -1, -1)])
    return max(sequences, key=len)  # the first of the longest ones
