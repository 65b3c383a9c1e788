"""The resolvers that Hydra adds to OmegaConf: in a program that is not ours they are removed again."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from omegaconf.basecontainer import BaseContainer

HYDRAS = ("now", "hydra", "python_version")


class _Calls:
    """The blocks that are running, in several threads, and the resolvers before the first of them."""

    lock = Lock()
    running = 0
    before: dict = {}  # noqa: RUF012 - set by the first


@contextmanager
def resolvers_as_before() -> Iterator[None]:
    """After the block, and others that run meanwhile, these resolvers are what they were before."""
    registered = BaseContainer._resolvers
    with _Calls.lock:
        if _Calls.running == 0:
            _Calls.before = {name: registered[name] for name in HYDRAS if name in registered}
        _Calls.running += 1
    try:
        yield
    finally:
        with _Calls.lock:
            _Calls.running -= 1
            if _Calls.running == 0:
                for name in HYDRAS:
                    registered.pop(name, None)
                registered.update(_Calls.before)
