"""A score that a command of the user's computes, such as COMET (arXiv:2009.09025) or BERTScore (arXiv:1904.09675)."""

import copy
import json
import math
import re
import shlex
import shutil
from collections.abc import Sequence
from typing import ClassVar, Self

from seq2seq.errors import ConfigError
from seq2seq.metrics.base import References, count_references
from seq2seq.metrics.command import CommandError, answer_of
from seq2seq.metrics.sentence_mean import SentenceMean

NAME = re.compile(r"[A-Za-z][\w+.-]*")


class External(SentenceMean):
    """The mean of the numbers that a command writes, one per sentence, under the `name`.

    `command` is a list of words, or a text that is split into words as a shell does it; no shell runs it. It reads one
    JSON object per line from stdin, {"source": …, "hypothesis": …, "references": […]}, and writes one number per line
    to stdout. `scale` multiplies the numbers. `version`, such as the model's name, is quoted in the signature.
    `timeout` is in seconds; None: none. Only what the user types gives a command: it is not taken from the config.yaml
    of a run, which may come from anyone, and without it (None) the metric raises ConfigError.
    """

    typed_only: ClassVar[frozenset[str]] = frozenset({"command"})

    def __init__(
        self,
        *,
        name: str,
        command: str | list[str] | None,
        version: str | None,
        scale: float,
        higher_is_better: bool,
        timeout: float | None,
    ) -> None:
        if not NAME.fullmatch(name):
            raise ValueError(f"name: expected a name such as comet, got {name!r}")
        if timeout is not None and timeout <= 0:
            raise ValueError(f"timeout: expected more than 0 seconds, or null, got {timeout}")
        if scale == 0:
            raise ValueError("scale: expected another number than 0")
        super().__init__(name)
        self.words = _words(command)
        self.version, self.scale, self.timeout = version, scale, timeout
        self.larger_wins = higher_is_better
        self.sources: Sequence[str] | None = None

    def higher_is_better(self, name: str) -> bool:
        """As configured."""
        return self.larger_wins

    def for_sources(self, sources: Sequence[str]) -> Self:
        """The metric for hypotheses of these sources."""
        found = copy.copy(self)
        found.sources = sources
        return found

    def check(self, references: References) -> None:
        """Raise ConfigError if there is no command, or no such program."""
        if not self.words:
            raise ConfigError(f"{self.names[0]}: its command is not given; that of a run's config.yaml is never run")
        if shutil.which(self.words[0]) is None:
            raise ConfigError(f"{self.names[0]}: there is no program {self.words[0]} (in its command {self._shown()})")

    def of_sentences(self, hypotheses: Sequence[str], references: References) -> list[float]:
        """The numbers of the command, scaled. Raises ConfigError if it fails or writes anything else."""
        self.check(references)
        if self.sources is None or len(self.sources) != len(hypotheses):
            raise ValueError("an external metric needs a source for each hypothesis: for_sources(sources)")
        rows = [
            json.dumps({"source": source, "hypothesis": text, "references": list(several)}) + "\n"
            for source, text, several in zip(self.sources, hypotheses, references, strict=True)
        ]
        try:
            written = answer_of(self.words, "".join(rows).encode(), self.timeout)
            return [self.scale * number for number in _numbers(written, len(rows))]
        except CommandError as error:
            raise ConfigError(f"{self.names[0]}: {self._shown()} {error}") from error

    def signature(self, references: References) -> str:
        """The command, the scale and the version."""
        command = self._shown().replace("|", "/")
        version = f"|version:{self.version}" if self.version else ""
        return f"nrefs:{count_references(references)}|command:{command}|scale:{self.scale:g}{version}"

    def _shown(self) -> str:
        return shlex.join(self.words)


def _words(command: str | list[str] | None) -> list[str]:
    try:
        words = shlex.split(command) if isinstance(command, str) else list(command or ())
    except ValueError as error:  # an open quote
        raise ValueError(f"command: {str(error).lower()} in {command!r}") from error
    if command is not None and (not words or not words[0]):
        raise ValueError(f"command: expected a program and its arguments, got {command!r}")
    return words


def _numbers(written: str, expected: int) -> list[float]:
    """The numbers that a command wrote, one per line."""
    lines = written.removesuffix("\n").split("\n") if written else []
    if len(lines) != expected:
        raise CommandError(
            f"wrote {len(lines):,} lines to stdout for {expected:,} sentences: it must write one number per line, and "
            "nothing else"
        )
    numbers = []
    for place, line in enumerate(lines, start=1):
        try:
            number = float(line)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise CommandError(f"wrote {line.strip()[:60]!r} as line {place:,}: expected one number per line")
        numbers.append(number)
    return numbers
