"""The processor's cores."""

import os


def usable_cores() -> int:
    """How many this process may use: a scheduler often grants a few of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
