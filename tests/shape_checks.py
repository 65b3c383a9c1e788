"""The check of the annotated functions of seq2seq in the tests: beartype, with jaxtyping for the shapes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self, get_args

import jaxtyping
from beartype import BeartypeConf, beartype

configured = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is accepted as a float


def mentions_self(hint: Any) -> bool:
    """True if `Self` is anywhere in the annotation."""
    return hint is Self or any(mentions_self(part) for part in get_args(hint))


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with a check of its arguments and its result at every call.

    Two annotations are not checked: `Self`, which beartype supports only inside classes it decorates itself, and names
    in quotes, which may be imported only for mypy.
    """
    function.__annotations__ = {
        name: Any if isinstance(hint, str) or mentions_self(hint) else hint
        for name, hint in function.__annotations__.items()
    }
    return configured(function)


@contextmanager
def unchecked() -> Iterator[None]:
    """Turn the checks off: for slow tests of functions whose shapes other tests check."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
