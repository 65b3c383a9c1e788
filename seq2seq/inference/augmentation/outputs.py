"""The outputs of the run, in files of `given.CHUNK` texts each: what is translated is kept, whatever happens later."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from seq2seq.checkpoint.storage import replace_file, storage_errors
from seq2seq.config.schema import TrainSettings
from seq2seq.errors import DataError, memory_errors
from seq2seq.inference.augmentation.given import Given
from seq2seq.inference.trained_model import TrainedModel, as_read
from seq2seq.search.base import Search
from seq2seq.search.decode import decode
from seq2seq.search.limits import limits_reached
from seq2seq.search.shortlists import Shortlists
from seq2seq.types import Pair

FOLDER = "outputs"
DIGITS = 6  # of a log-probability in a file


@dataclass(frozen=True)
class Output:
    """An output: its text, its log p in nats, and its number of tokens; both with the end symbol."""

    text: str
    log_prob: float
    tokens: int


@dataclass(frozen=True)
class Translated:
    """The outputs for one text, best first; none if it was too long to be translated.

    `tokens` are those of the text, without the end symbol. `limit` is the key of the length limit at which the best
    output ended, if it did.
    """

    tokens: int
    outputs: list[Output]
    limit: str | None

    def line(self) -> str:
        """As a line of a file."""
        outputs = [[one.text, round(one.log_prob, DIGITS), one.tokens] for one in self.outputs]
        return json.dumps([self.tokens, outputs, self.limit], ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, line: str) -> "Translated":
        """The content of such a line. Raises ValueError."""
        tokens, outputs, limit = json.loads(line)
        return cls(tokens, [Output(*one) for one in outputs], limit)


class TextDecoder:
    """A trained run and how it decodes; called with the texts of a part.

    Sources with more than length.max_source tokens are cut or not translated, as length.overlong has it in training.
    """

    def __init__(
        self,
        trained: TrainedModel,
        settings: TrainSettings,
        search: Search,
        shortlists: Shortlists | None,
        n_best: int,
    ) -> None:
        self.trained = trained
        self.settings = settings
        self.search = search
        self.shortlists = shortlists
        self.n_best = n_best

    def __call__(
        self, texts: Sequence[str], *, first: int, on_batch: Callable[[int], None] | None = None
    ) -> list[Translated]:
        """The outputs for each text. `first` is the number of the first one among all, which samples depend on."""
        longest, drop = self.settings.length.max_source, self.settings.length.overlong == "drop"
        ids = self.trained.tokenizer.source.encode(as_read(self.settings, texts))
        long = [drop and len(one) > longest for one in ids]
        sources = [[] if left_out else one[:longest] for one, left_out in zip(ids, long, strict=True)]
        with self.trained.runtime.autocast(), memory_errors("decoding"):
            found = decode(
                self.trained.search_model,
                self.search,
                sources,
                numbers=range(first, first + len(texts)),
                shortlists=self.shortlists,
                device=self.trained.runtime.device,
                tokens_per_batch=self.settings.trainer.batch_tokens,
                on_batch=on_batch,
            )
        limits = limits_reached(self.search, [hypotheses[0] for hypotheses in found], [*map(len, sources)])
        best = [[] if left_out else many[: self.n_best] for many, left_out in zip(found, long, strict=True)]
        decoded = iter(self.trained.tokenizer.target.decode([one.tokens for many in best for one in many]))
        return [
            Translated(len(one), [Output(next(decoded), each.log_prob, len(each.tokens) + 1) for each in many], limit)
            for one, many, limit in zip(ids, best, limits, strict=True)
        ]


class Outputs:
    """The files of outputs in `folder`, one for each part; a file is there as a whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER

    def has(self, part: int) -> bool:
        """Whether the part has been translated."""
        return self._path(part).is_file()

    def write(self, part: int, translated: Sequence[Translated]) -> None:
        """Keep the outputs of a part. Raises StorageError."""
        replace_file(self._path(part), "".join(one.line() for one in translated))

    def read(self, given: Given) -> Iterator[tuple[Pair, Translated]]:
        """Every text with its outputs. Raises DataError naming a file that was changed."""
        for part, pairs in given.chunks():
            path = self._path(part)
            try:
                with storage_errors(f"read {path}"):
                    lines = path.read_bytes().decode().split("\n")[:-1]
                yield from zip(pairs, map(Translated.read, lines), strict=True)
            except (ValueError, TypeError) as error:
                raise DataError(f"{path} is damaged: delete it and give the same command again") from error

    def _path(self, part: int) -> Path:
        return self.folder / f"{part:06d}.jsonl"
