"""Whether this process may copy itself."""

import sys
import threading


class _Process:
    forks = False


def allow_forks() -> None:
    """From now on. For commands: in someone else's program another thread may hold a lock, which nobody would release
    in a copy of the process."""
    _Process.forks = sys.platform == "linux"


def forks_allowed() -> bool:
    """Whether `allow_forks` was called, and this is the thread to do it."""
    return _Process.forks and threading.current_thread() is threading.main_thread()
