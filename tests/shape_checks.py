"""What the tests put on every annotated function of seq2seq: beartype, with jaxtyping reading the shapes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self, get_args

import jaxtyping
from beartype import BeartypeConf, beartype

configured = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int may stand where a float is asked for


def mentions_self(hint: Any) -> bool:
    """True if `Self` stands anywhere in the annotation."""
    return hint is Self or any(mentions_self(part) for part in get_args(hint))


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, checking its arguments and its result at every call.

    Two annotations are not checked: `Self`, which beartype knows only inside classes it decorates itself, and names in
    quotes, which may be imported for mypy alone.
    """
    function.__annotations__ = {
        name: Any if isinstance(hint, str) or mentions_self(hint) else hint
        for name, hint in function.__annotations__.items()
    }
    return configured(function)


@contextmanager
def unchecked() -> Iterator[None]:
    """No call is checked meanwhile: for what runs long in functions whose shapes other tests check."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
