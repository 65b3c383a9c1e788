"""The texts that are translated: a file's, or the sources of a split. They are read several times, never kept."""

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from seq2seq.config.schema import AugmentSettings, TrainSettings
from seq2seq.data.opening import keep, reported
from seq2seq.data.text import TextData, check_file, read_lines
from seq2seq.errors import DataError
from seq2seq.inference.line_input import is_table, read_table, texts_of
from seq2seq.types import Pair

CHUNK = 2048  # texts of a part: sorted by length and decoded together, and lost if the command is killed meanwhile

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Given:
    """The texts of `input`, or the pairs of a split; `count` and `digest` are of the sources."""

    script: AugmentSettings
    settings: TrainSettings
    data: TextData
    count: int = 0
    digest: str = ""

    @classmethod
    def of(cls, script: AugmentSettings, settings: TrainSettings, data: TextData) -> "Given":
        """The texts, read once: a line that cannot be read is reported before anything is translated.

        Raises DataError.
        """
        if script.input is None:
            data.check_split(script.split)
        elif not is_table(script.input):
            path = Path(script.input)
            check_file(path)
            with reported(script.input):
                keep(path)  # a pipe, to be read several times
        unread = cls(script, settings, data)
        count, digest = 0, hashlib.sha256()
        for pair in unread.pairs():
            count += 1
            digest.update(json.dumps(pair.source).encode() + b"\n")
        if count == 0:
            raise DataError(f"input={script.input} has no text; give a file with one text per line")
        return cls(script, settings, data, count, digest.hexdigest())

    def pairs(self) -> Iterator[Pair]:
        """All texts as sources; targets are empty if there are none. Raises DataError."""
        path = self.script.input
        if path is None:
            yield from self.data.read(self.script.split)
        elif is_table(path):
            yield from (Pair(text, "") for text in texts_of(read_table(path, self.settings), self.settings, "source"))
        else:
            yield from (Pair(text, "") for text in read_lines(Path(path)))

    def chunks(self) -> Iterator[tuple[int, list[Pair]]]:
        """The parts in order: number and pairs."""
        pairs = self.pairs()
        for part in self.parts():
            yield part, list(islice(pairs, self.size(part)))

    def parts(self) -> range:
        """The numbers of the parts, from 0."""
        return range(-(-self.count // CHUNK))

    def first(self, part: int) -> int:
        """The number, from 0, of a part's first text."""
        return part * CHUNK

    def size(self, part: int) -> int:
        """How many texts a part has."""
        return min(CHUNK, self.count - self.first(part))
