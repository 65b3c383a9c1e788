"""Length limits: which outputs ended at one, and which training targets are longer than the limits allow."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import torch

from seq2seq.search.base import EXTRA, Hypothesis, Search

LENGTH, RATIO = "search.max_length", "search.max_length_ratio"
NEARLY_ALL = 0.999  # of the training pairs have targets that the advised limits allow; fewer exceptions give no warning


def limits_reached(
    search: Search,
    hypotheses: Sequence[Hypothesis],
    source_lengths: Sequence[int],
    prefix_lengths: Sequence[int] | None = None,
) -> list[str | None]:
    """For each sentence the key of the limit at which its hypothesis ended; None if it ended earlier.

    Lengths are in tokens, the end symbol not counted. Outputs that end by themselves at the limit count as well.
    """
    limits = search.limits(torch.tensor(source_lengths, dtype=torch.long) + 1)
    if prefix_lengths is not None:
        limits = limits.maximum(torch.tensor(prefix_lengths, dtype=torch.long) + 1)
    return [
        None if not tokens or len(tokens) + 1 < limit else LENGTH if limit >= search.max_length else RATIO
        for tokens, limit in zip((one.tokens for one in hypotheses), limits.tolist(), strict=True)
    ]


def count_limits(reached: Iterable[str | None]) -> dict[str, int]:
    """How many outputs ended at each limit, by its key."""
    counts = Counter(reached)
    return {key: counts[key] for key in (LENGTH, RATIO)}


def outputs_line(search: Search, counts: dict[str, int], outputs: int) -> str | None:
    """'12 of 300 outputs ended at search.max_length=256', with both limits if both were reached; None for none."""
    if not sum(counts.values()):
        return None
    given = {
        LENGTH: f"{LENGTH}={search.max_length}",
        RATIO: f"{RATIO}={search.max_length_ratio} (times the source's tokens, plus {EXTRA})",
    }
    where = " or ".join(given[key] for key, count in counts.items() if count)
    more = " or ".join(key for key, count in counts.items() if count)
    return f"{sum(counts.values()):,} of {outputs:,} outputs ended at {where}; raise {more} if they are cut short"


def target_lines(search: Search, max_target: int, source_lengths: np.ndarray, target_lengths: np.ndarray) -> list[str]:
    """A line for each limit that more than a thousandth of the training targets exceed.

    `max_target` is length.max_target; lengths are in tokens, the end symbol not counted.
    """
    pairs, lines = len(target_lengths), []
    long = target_lengths > search.max_length
    limits = search.limits(torch.from_numpy(source_lengths.astype(np.int64)) + 1).numpy()
    beyond = (target_lengths + 1 > limits) & ~long
    if long.mean() > 1 - NEARLY_ALL:
        wanted = int(np.quantile(target_lengths + 1, NEARLY_ALL, method="higher"))
        lines.append(_line(int(long.sum()), pairs, f"{LENGTH}={search.max_length}", LENGTH, wanted))
    elif max_target > search.max_length:
        lines.append(
            f"length.max_target={max_target} lets targets be longer than {LENGTH}={search.max_length} lets outputs be: "
            f"type {LENGTH}={max_target + 1}"
        )
    if beyond.mean() > 1 - NEARLY_ALL:
        needed = np.quantile((target_lengths + 1 - EXTRA) / (source_lengths + 1), NEARLY_ALL, method="higher")
        wanted_ratio = math.ceil(10 * needed) / 10
        limit = f"{RATIO}={search.max_length_ratio} (times the source's tokens, plus {EXTRA})"
        lines.append(_line(int(beyond.sum()), pairs, limit, RATIO, wanted_ratio))
    return lines


def _line(count: int, pairs: int, limit: str, key: str, wanted: float) -> str:
    share = f"{count:,} of {pairs:,} training pairs ({count / pairs:.2%})"
    return f"{share} have targets longer than {limit} allows outputs: type {key}={wanted}"
