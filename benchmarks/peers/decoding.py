"""What the peers' decoding has in common: a turn is a beam's size, and the first turn of a size chooses the batch."""

import time
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from batching import Ids, best_size
from turns import Turns, decoded


def decode_in_turns(turns: Turns, sources: Ids, decode: Callable[[int, int], Ids]) -> NoReturn:
    """Answer every turn. `decode(beam, size)` gives the best hypothesis of each source, found with a beam of that size
    in batches of so many sentences."""
    sizes: dict[int, int] = {}
    while True:
        beam = int(turns.wait())
        if beam not in sizes:
            sizes[beam] = best_size(partial(decode, beam))
        began = time.perf_counter()
        hypotheses = decode(beam, sizes[beam])
        seconds = time.perf_counter() - began
        turns.answer(seconds=seconds, batch=sizes[beam], **decoded(sources, hypotheses))
