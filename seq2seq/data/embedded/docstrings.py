"""Summarization pairs from the installed Python packages: a docstring's body -> its summary."""

import contextlib
import hashlib
import logging
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from seq2seq.data.embedded.docstring_pairs import described_in
from seq2seq.data.embedded.installed_modules import Module, installed_modules, unknown_packages
from seq2seq.data.text import TextData
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Pair

log = logging.getLogger(__name__)

FORMAT = 1  # raise it whenever this code finds other pairs: runs and caches depend on it
READ_FIRST = ("test", "valid", "train")  # so that duplicates are kept in the smaller split
MOST_LISTED = 8  # packages named in the log; the others are counted


class Docstrings(TextData):
    """Functions, methods and classes: source = signature, then the docstring's prose; target = its first sentence.

    A module belongs to one split, chosen by a hash of its name, so that another version of a package keeps its modules
    in their splits; `valid` and `test` are shares of the modules. No two pairs, of one split or of two, have the same
    target or the same prose, ignoring case and punctuation. Files are parsed, never imported. Raises ConfigError for a
    package that is not installed.
    """

    def __init__(
        self,
        *,
        packages: list[str] | None,
        standard_library: bool,
        valid: float,
        test: float,
        source_prefix: str = "",
        target_prefix: str = "",
    ) -> None:
        self.packages = packages
        self.standard_library = standard_library
        self.shares = {"valid": valid, "test": test}
        self.source_prefix, self.target_prefix = source_prefix, target_prefix
        problems = [
            f"data.{name} must be a share above 0, not {share}" for name, share in self.shares.items() if share <= 0
        ]
        if valid + test >= 1:
            problems.append(f"data.valid and data.test leave nothing for training: {valid} + {test} must be below 1")
        problems += [f"data.packages: there is no installed package {text}" for text in unknown_packages(packages)]
        if problems:
            raise ConfigError("\n".join(problems))

    def splits(self) -> tuple[str, ...]:
        """'train', 'valid' and 'test'."""
        return ("train", "valid", "test")

    def read(self, split: str) -> Iterator[Pair]:
        """The split's pairs, by package and module. Raises DataError if there are none."""
        self.check_split(split)
        seen = _Seen()
        found: Counter[str] = Counter()
        for name in READ_FIRST[: READ_FIRST.index(split) + 1]:
            for module, pair in self._fresh_pairs(name, seen):
                if name == split:
                    found[f"{module.package} {module.version}"] += 1
                    yield pair
        if not found:
            raise DataError(
                f"{split}: {len(self.modules):,} modules have no docstring to learn from; name more packages"
            )
        log.info("docstrings, %s: %s", split, _listed(found))
        if seen.unread:
            log.info("%s files could not be parsed as Python and were skipped", f"{seen.unread:,}")

    def fingerprint(self, split: str) -> str:
        """A hash of the modules' code, of their packages' versions, of the settings, and of FORMAT."""
        self.check_split(split)
        origin = (FORMAT, split, self.shares, sys.version_info[:2], self._modules_hash)
        return hashlib.sha256(repr(origin).encode()).hexdigest()

    @cached_property
    def modules(self) -> list[Module]:
        """All modules, sorted by package and name."""
        return installed_modules(self.packages, standard_library=self.standard_library)

    @cached_property
    def _modules_hash(self) -> str:
        digest = hashlib.sha256()
        for module in self.modules:
            digest.update(f"{module.package} {module.version} {module.name}\n".encode())
            with contextlib.suppress(OSError):
                digest.update(hashlib.sha256(module.path.read_bytes()).digest())
        return digest.hexdigest()

    def _fresh_pairs(self, split: str, seen: "_Seen") -> Iterator[tuple[Module, Pair]]:
        """The split's pairs without duplicates, each with its module."""
        modules = [module for module in self.modules if self._split_of(module) == split]
        for module, found in zip(modules, described_in([module.path for module in modules]), strict=True):
            seen.unread += found is None
            for given in found or ():
                if seen.is_new(given.summary, given.body):
                    yield module, Pair(f"{given.signature}\n{given.body}", given.summary)

    def _split_of(self, module: Module) -> str:
        digest = hashlib.sha256(f"{module.package} {module.name}".encode()).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        if place < self.shares["test"]:
            return "test"
        return "valid" if place < self.shares["test"] + self.shares["valid"] else "train"


@dataclass
class _Seen:
    """The texts found so far, as lower-case words, and the number of unreadable files."""

    targets: set[str] = field(default_factory=set)
    bodies: set[str] = field(default_factory=set)
    unread: int = 0

    def is_new(self, target: str, body: str) -> bool:
        """Whether neither was found before; adds both."""
        target, body = (" ".join(re.findall(r"\w+", text.lower())) for text in (target, body))
        new = target not in self.targets and body not in self.bodies
        self.targets.add(target)
        self.bodies.add(body)
        return new


def _listed(found: Counter[str]) -> str:
    """'1,200 pairs (numpy 2.4.6: 1,000, sympy 1.14.0: 150, 3 more: 50)'."""
    most = found.most_common(MOST_LISTED)
    parts = [f"{package}: {count:,}" for package, count in most]
    if rest := len(found) - len(most):
        parts.append(f"{rest} more: {found.total() - sum(count for _, count in most):,}")
    return f"{found.total():,} pairs ({', '.join(parts)})"
