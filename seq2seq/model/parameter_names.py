"""Parameters and modules chosen by name, as `freeze`, `init_fresh` and `adapter.targets` do."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from itertools import accumulate

from seq2seq.config.problems import did_you_mean, listed
from seq2seq.errors import ConfigError


def choose(key: str, patterns: Sequence[str], names: Iterable[str], *, kind: str = "parameter or module") -> set[str]:
    """Those of the dotted names that `patterns`, the value of `key`, choose; `kind` is what they are names of.

    A pattern is one of the names or that of a module, which chooses all below it; * stands for any letters, dots too.
    Raises ConfigError with a line for each pattern that chooses nothing.
    """
    names = list(names)
    chosen: set[str] = set()
    lines = []
    for pattern in patterns:
        found = {name for name in names if fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")}
        if not found:
            lines.append(f"{key}: {_nothing_called(pattern, names, kind)}")
        chosen |= found
    if lines:
        raise ConfigError("\n".join(lines))
    return chosen


def _nothing_called(pattern: str, names: Sequence[str], kind: str) -> str:
    modules = {module for name in names for module in accumulate(name.split(".")[:-1], "{}.{}".format)}
    close = did_you_mean(pattern.strip("*."), [*sorted(modules), *names])
    parts = {name.partition(".")[0] for name in names}
    return f"no {kind} is called {pattern!r}{close or '.'} At the top there are: {listed(parts)}"
