"""What torchrun tells each process that it starts, in its environment: how many there are, and which one this is."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Process `rank` of `size`; `local_rank` and `local_size` count those on this machine alone.

    Rank 0 is the main process. Without torchrun there is but one.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    by_torchrun: bool = False


def place() -> Place:
    """This process's place."""
    # A batch system may set RANK and WORLD_SIZE for a whole machine; LOCAL_RANK comes with a process of its own.
    if "LOCAL_RANK" not in os.environ:
        return Place()
    rank, size, local_rank, local_size = (
        int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    )
    return Place(rank, size, local_rank, local_size, by_torchrun=True)
