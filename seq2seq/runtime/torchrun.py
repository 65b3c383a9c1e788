"""What torchrun sets in the environment of each process: the world size and this process's rank."""

import os
from dataclasses import dataclass

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True)
class Place:
    """Process `rank` of `size`; `local_rank` and `local_size` count those on this machine alone.

    Rank 0 is the main process. Without torchrun there is only one.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    by_torchrun: bool = False


def place() -> Place:
    """This process's place."""
    # A batch system may set some of these for a whole machine; torchrun sets all of them, for each process its own.
    if any(name not in os.environ for name in VARIABLES):
        return Place()
    rank, size, local_rank, local_size = (int(os.environ[name]) for name in VARIABLES)
    return Place(rank, size, local_rank, local_size, by_torchrun=True)
