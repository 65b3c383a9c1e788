"""A trained run in a program of one's own: texts in, translations out."""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from seq2seq.commands.translate import SCRIPT
from seq2seq.config.command_line.from_python import settings_of
from seq2seq.config.extensions import one_call
from seq2seq.config.schema import Decoding, TrainSettings
from seq2seq.errors import ConfigError, memory_errors
from seq2seq.inference.engine import load_for
from seq2seq.inference.shortlists import check_shortlist, open_shortlists
from seq2seq.inference.trained_model import TrainedModel, as_read
from seq2seq.search.base import Search
from seq2seq.search.decode import decode
from seq2seq.search.limits import limits_reached
from seq2seq.search.shortlists import Shortlists

log = logging.getLogger(__name__)

CHUNK = 4096  # texts sorted by length and decoded together
OF_FILES = {  # keys of the command that are arguments of `translate` here, or nothing
    **dict.fromkeys(
        ("input", "output", "answer_column"), "there are no files here: translate(texts) returns the outputs"
    ),
    "prefix": "give the beginnings themselves: translate(texts, prefixes=[...])",
    "n_best": "give it with the texts: translate(texts, n_best=3)",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """An output: its text, the score for ranking, and log p of its tokens and the end symbol, in nats."""

    text: str
    score: float
    log_prob: float


@dataclass(frozen=True, slots=True)
class Translation:
    """What was found for a text: the best output, and all `candidates`, the best one first.

    `limit` is the key of the length limit at which the best output ended (`search.max_length`), so that it may be cut
    short; None if it ended by itself.
    """

    text: str
    score: float
    log_prob: float
    candidates: tuple[Candidate, ...]
    limit: str | None = None


class Translator:
    """A trained run that translates texts (or summarizes them); `load` reads it.

    It never changes, so several threads may use one at the same time. `search` finds the outputs; None: the run's own,
    as in `settings`. With `shortlists` outputs have only the tokens of these.
    """

    def __init__(
        self,
        trained: TrainedModel,
        settings: TrainSettings,
        search: Search | None = None,
        shortlists: Shortlists | None = None,
    ) -> None:
        self.trained = trained
        self.settings = settings
        found: Search = settings.search() if search is None else search
        self.search = found.reading(trained.tokenizer.target)
        self.shortlists = shortlists

    @classmethod
    def load(
        cls,
        run: str | os.PathLike[str],
        *words: str | Mapping[str, object],
        checkpoint: str = "best",
        ensemble: Sequence[str | os.PathLike[str]] = (),
        shortlist: int | None = None,
        config_dir: str | os.PathLike[str] | None = None,
        **keys: object,
    ) -> Self:
        """A run's model: of `run`, a name (`runs/NAME`) or a path with a slash.

        All keys of the command `translate` can be given, apart from those of its files: as words
        (`"search.beam_size=5"`), in a mapping (`{"search.beam_size": 5}`) or by name (`device="cpu"`). `checkpoint` is
        best, last, average, average-best, ema or step-N; `ensemble` are other runs whose probabilities are averaged
        with these; `shortlist=N` allows the N most likely translations of each source token, `config_dir` is a folder
        of choices of your own.

        Raises ConfigError for keys or values that do not exist, CheckpointError where there is no such run or it is
        damaged, DataError where the data for a shortlist is missing, OutOfMemoryError.
        """
        given: dict[str, object] = {"run": run}
        given |= {"checkpoint": checkpoint} if checkpoint != "best" else {}
        given |= {"ensemble": list(ensemble)} if ensemble else {}
        given |= {"shortlist": shortlist} if shortlist is not None else {}
        with one_call():
            return cls.of(*settings_of(SCRIPT, [given, *words], keys, config_dir, refused=OF_FILES))

    @classmethod
    def of(cls, script: Decoding, settings: TrainSettings) -> Self:
        """The run that the settings name, with its search; raises what `load` raises."""
        check_shortlist(settings, script.shortlist)
        trained = load_for(script, settings)
        return cls(trained, settings, shortlists=open_shortlists(trained, settings, script.shortlist))

    def translate(
        self,
        texts: Iterable[str],
        n_best: int = 1,
        prefixes: Iterable[str] | None = None,
        *,
        first: int = 0,
        scores: bool = True,
    ) -> list[Translation]:
        """The translation of each text, with at most `n_best` candidates. A text may have several lines.

        Each output begins with the text's prefix, which is tokenized separately, without spaces at its end; "" sets no
        beginning. `first` is the number of the first text, which samples depend on: with it a list that is translated
        in parts gets the samples that it gets as a whole. Without `scores` greedy search is faster, and gives nan for
        them. Texts longer than `length.max_source` tokens are cut, with a warning in the log. Raises TypeError for
        anything but lists of text, ValueError if there are not as many prefixes as texts, ConfigError for more outputs
        than the search finds, OutOfMemoryError.
        """
        check_n_best(n_best, self.settings, self.search)
        sources = _texts("texts", texts)
        beginnings = None if prefixes is None else [prefix.rstrip() for prefix in _texts("prefixes", prefixes)]
        if beginnings is not None and len(beginnings) != len(sources):
            raise ValueError(f"there are {len(sources):,} texts, but {len(beginnings):,} prefixes: give one for each")
        found: list[Translation] = []
        for start in range(0, len(sources), CHUNK):
            end = start + CHUNK
            part = None if beginnings is None else beginnings[start:end]
            found += self._translate(sources[start:end], n_best, part, first + start, scores)
        return found

    def _translate(
        self, texts: Sequence[str], n_best: int, prefixes: Sequence[str] | None, first: int, scores: bool
    ) -> list[Translation]:
        """The translations of texts that are decoded together."""
        tokenizer, longest = self.trained.tokenizer, self.settings.length.max_source
        sources = tokenizer.source.encode(as_read(self.settings, texts))
        cut = sum(len(source) > longest for source in sources)
        if cut:
            log.warning("%s lines were longer than length.max_source=%s tokens and were cut", f"{cut:,}", longest)
        sources = [source[:longest] for source in sources]
        prefix_ids = None if prefixes is None else tokenizer.target.encode(prefixes)
        with self.trained.runtime.autocast(), memory_errors("decoding"):
            found = decode(
                self.trained.search_model,
                self.search if scores else self.search.without_scores(),
                sources,
                numbers=range(first, first + len(texts)),
                prefixes=prefix_ids,
                shortlists=self.shortlists,
                device=self.trained.runtime.device,
                tokens_per_batch=self.settings.trainer.batch_tokens,
            )
        lengths = [*map(len, sources)], None if prefix_ids is None else [*map(len, prefix_ids)]
        limits = limits_reached(self.search, [hypotheses[0] for hypotheses in found], *lengths)
        best = [hypotheses[:n_best] for hypotheses in found]
        decoded = iter(tokenizer.target.decode([one.tokens for hypotheses in best for one in hypotheses]))
        return [
            _translation([Candidate(next(decoded), one.score, one.log_prob) for one in hypotheses], limit)
            for hypotheses, limit in zip(best, limits, strict=True)
        ]


def check_n_best(n_best: int, settings: TrainSettings, search: Search) -> None:
    """Raise ConfigError if the search does not find that many outputs."""
    if n_best < 1:
        raise ConfigError(f"n_best={n_best}: expected 1 or more")
    if n_best > search.most:
        key = next((key for key in ("beam_size", "samples") if key in settings.search.arguments), None)
        advice = f"raise search.{key}" if key else "take search=beam"
        raise ConfigError(
            f"n_best={n_best}: search={settings.search.name} finds at most {search.most} per line; {advice}"
        )


def _texts(name: str, given: Iterable[str]) -> list[str]:
    """The texts as a list. Raises TypeError for a single text and for what is no text."""
    if isinstance(given, str):
        raise TypeError(f"{name}: expected a list of texts, got a single one: write [text]")
    texts = list(given)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"{name}[{number}]: expected text, got {type(text).__name__}")
    return texts


def _translation(candidates: Sequence[Candidate], limit: str | None) -> Translation:
    best = candidates[0]
    return Translation(best.text, best.score, best.log_prob, tuple(candidates), limit)
