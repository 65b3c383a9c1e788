"""SentencePiece as configured (Kudo & Richardson 2018, arXiv:1808.06226): unigram, BPE or characters."""

import io
import logging
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import sentencepiece

from seq2seq.errors import ConfigError, DataError, is_out_of_memory
from seq2seq.heartbeat import heartbeat
from seq2seq.plain_types import BOS, EOS, PAD, UNK, Component
from seq2seq.tokenizer.bpe_dropout import DropoutSampler
from seq2seq.tokenizer.runs import SPACE
from seq2seq.tokenizer.sampling import Sampler
from seq2seq.tokenizer.unigram_sampling import UnigramSampler
from seq2seq.tokenizer.vocabulary import Tokenizer, Vocabulary

log = logging.getLogger(__name__)

LONGEST_TRAINING_LINE = 4000  # characters; SentencePiece skips lines of more than 4,192 bytes
TRAINING_THREADS = 4  # fixed: the sums of unigram training depend on their number
RESERVED = ("<pad>", "<unk>", "<s>", "</s>")
NOT_TRAINED_ON = {ord("\0"): " ", ord("\u2585"): " "}  # SentencePiece skips lines with one of these


class SentencePiece(Component):
    """Settings of a tokenizer, and its training.

    `vocab_size` counts every piece: the 4 reserved ones, the line break and, with `byte_fallback`, the 256 bytes.
    `sampling` is 0 for one fixed segmentation; in training, BPE then drops merges with that probability (BPE-dropout,
    arXiv:1910.13267) and unigram samples segmentations with that smoothing exponent alpha (arXiv:1804.10959). `symbols`
    are texts that are always one piece: never split, normalised or sampled. `auto_size` is the number of pieces that
    `vocab_size="auto"` has, or comes near to where the text does not allow it; None: it follows from the text.
    """

    def __init__(
        self,
        *,
        model_type: Literal["unigram", "bpe", "char"],
        vocab_size: int | Literal["auto"],
        joint: bool,
        character_coverage: float,
        byte_fallback: bool,
        normalization: Literal["identity", "nfkc", "nmt_nfkc", "nfkc_cf", "nmt_nfkc_cf"],
        sampling: float,
        training_lines: int,
        symbols: Sequence[str] = (),
        auto_size: int | None = None,
    ) -> None:
        problems = [*_symbol_problems(symbols)]
        if not 0 < character_coverage <= 1:
            problems.append(f"tokenizer.character_coverage must lie in (0, 1], not {character_coverage}")
        if not 0 <= sampling < 1:
            problems.append(f"tokenizer.sampling must lie in [0, 1), not {sampling}")
        if sampling and model_type == "char":
            problems.append("tokenizer.sampling must be 0 with tokenizer=char: a text has one segmentation only")
        if training_lines < 1:
            problems.append(f"tokenizer.training_lines must be at least 1, not {training_lines}")
        if vocab_size != "auto" and vocab_size < 5:
            problems.append(f"tokenizer.vocab_size must be at least 5, not {vocab_size}")
        if auto_size is not None and auto_size < 5:
            problems.append(f"tokenizer.auto_size must be at least 5, not {auto_size}")
        if problems:
            raise ConfigError("\n".join(problems))
        self.model_type = model_type
        self.vocab_size = vocab_size
        self.joint = joint
        self.character_coverage = character_coverage
        self.byte_fallback = byte_fallback
        self.normalization = normalization
        self.sampling = sampling
        self.training_lines = training_lines
        self.symbols = list(symbols)
        self.auto_size = auto_size

    def identity(self) -> dict[str, object]:
        """What a trained tokenizer depends on, apart from the text; without `sampling` and what was added later and is
        not used."""
        unused = {"sampling", *(name for name in ("symbols", "auto_size") if not getattr(self, name))}
        settings = {name: value for name, value in vars(self).items() if name not in unused}
        return {**settings, "sentencepiece": sentencepiece.__version__}

    def train(self, source_lines: Sequence[str], target_lines: Sequence[str]) -> Tokenizer:
        """One joint vocabulary or two. Of more than `training_lines` pairs, that many evenly spaced ones are used.

        Raises DataError if the text does not allow a vocabulary of that size, with the sizes it allows.
        """
        if self.joint:
            joint = self._train_one("joint", [source_lines, target_lines])
            return Tokenizer(joint, joint)
        return Tokenizer(self._train_one("source", [source_lines]), self._train_one("target", [target_lines]))

    def sampler(self, vocabulary: Vocabulary) -> Sampler | None:
        """The sampler of segmentations for training; None if `sampling` is 0."""
        return sampler_of(self.model_type, vocabulary, self.sampling) if self.sampling else None

    def _train_one(self, name: str, columns: list[Sequence[str]]) -> Vocabulary:
        used, there = min(self.training_lines, len(columns[0])), len(columns[0])
        of_them = f"{used:,} of {there:,}" if used < there else f"{there:,}"
        log.info("training the %s vocabulary (%s) on %s pairs", name, self.model_type, of_them)
        start = time.monotonic()
        with heartbeat(f"training the {name} vocabulary"):
            vocabulary, why = self._sized(name, columns)
        seconds = time.monotonic() - start
        log.info("the %s vocabulary has %s pieces%s (%.1f s)", name, f"{vocabulary.size:,}", why, seconds)
        return vocabulary

    def _sized(self, name: str, columns: list[Sequence[str]]) -> tuple[Vocabulary, str]:
        """The vocabulary of the given size or, with auto, of a size chosen for the text, and then the reason."""
        if self.vocab_size != "auto":
            try:
                return self._trained(columns, self.vocab_size), ""
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                raise DataError(_explain(str(error), name, self.vocab_size)) from error
        characters = sum(len(line) for lines in columns for line in lines)
        size, why = self.auto_size or suitable_size(characters), f"{characters:,} characters of text"
        for tries_left in (2, 1, 0):
            try:
                vocabulary = self._trained(columns, size)
                suits = "" if size == self.auto_size else f", which suits {why} (tokenizer.vocab_size=N: another size)"
                return vocabulary, suits
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                most, fewest = allowed_sizes(str(error))
                if not tries_left or (most is None and fewest is None):
                    raise DataError(_explain(str(error), name, size)) from error
                if most is not None:
                    size, why = most, f"{characters:,} characters of text, which allow no more"
                elif fewest is not None:
                    size, why = fewest + size, f"text with so many different characters ({fewest:,} pieces for these)"
        raise AssertionError

    def _trained(self, columns: list[Sequence[str]], size: int) -> Vocabulary:
        """A vocabulary of this size; raises SentencePiece's RuntimeError."""
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=self._lines(columns),
            model_writer=model,
            model_type=self.model_type,
            vocab_size=size,
            character_coverage=self.character_coverage,
            byte_fallback=self.byte_fallback,
            normalization_rule_name=self.normalization,
            remove_extra_whitespaces=self.normalization != "identity",
            user_defined_symbols=list(symbol_ids(self.symbols)),
            pad_id=PAD,
            unk_id=UNK,
            bos_id=BOS,
            eos_id=EOS,
            num_threads=TRAINING_THREADS,
            minloglevel=2,
        )
        return Vocabulary(model.getvalue())

    def _lines(self, columns: list[Sequence[str]]) -> Iterator[str]:
        """The training text, cut so that SentencePiece skips no line."""
        for lines in columns:
            picked = range(len(lines))
            if len(lines) > self.training_lines:
                picked = np.linspace(0, len(lines) - 1, self.training_lines).astype(int).tolist()
            for index in picked:
                yield from _cut(lines[index].translate(NOT_TRAINED_ON))


def symbol_ids(symbols: Sequence[str]) -> dict[str, int]:
    """The ids of the pieces that are never split, in every vocabulary trained with these `symbols`: the line break is
    the first after the reserved pieces, and SentencePiece keeps their order."""
    return {symbol: index for index, symbol in enumerate(["\n", *symbols], start=len(RESERVED))}


def sampler_of(model_type: str, vocabulary: Vocabulary, strength: float) -> Sampler:
    """The sampler for a model of that type."""
    return (DropoutSampler if model_type == "bpe" else UnigramSampler)(vocabulary, strength)


def _symbol_problems(symbols: Sequence[str]) -> Iterator[str]:
    """Texts that cannot be a piece."""
    for symbol, count in Counter(symbols).items():
        if not symbol or re.search(rf"[\s{SPACE}\0]", symbol):
            yield f"tokenizer.symbols: {symbol!r} must be a text without white space, {SPACE} or NUL"
        elif symbol in RESERVED or re.fullmatch(r"<0x[0-9A-F]{2}>", symbol):
            yield f"tokenizer.symbols: {symbol!r} is already the name of a piece; choose another"
        if count > 1:
            yield f"tokenizer.symbols: {symbol!r} is given {count} times; once is enough"


def _cut(line: str) -> Iterator[str]:
    """A line in parts of at most 4,192 bytes, cut at spaces if it has any."""
    if len(line) * 4 <= LONGEST_TRAINING_LINE or len(line.encode()) <= LONGEST_TRAINING_LINE:
        yield line
        return
    longest = LONGEST_TRAINING_LINE // 4
    while len(line) > longest:
        end = line.rfind(" ", 1, longest)
        end = longest if end < 0 else end
        yield line[:end]
        line = line[end:].removeprefix(" ")
    yield line


def suitable_size(characters: int) -> int:
    """A vocabulary size for this number of characters, as a multiple of 100: 1,500 for a million of them, growing with
    their square root, and at most 16,000."""
    return min(max(100 * round(0.015 * characters**0.5), 400), 16_000)


def allowed_sizes(message: str) -> tuple[int | None, int | None]:
    """The most and the fewest pieces named in SentencePiece's error message, if any."""
    most = re.search(r"Vocabulary size too high .*<= (\d+)", message)
    fewest = re.search(r"smaller than required_chars\. \d+ vs (\d+)", message)
    return int(most[1]) if most else None, int(fewest[1]) if fewest else None


def _explain(message: str, name: str, size: int) -> str:
    """A DataError message for SentencePiece's error."""
    most, fewest = allowed_sizes(message)
    if most is not None:
        return (
            f"tokenizer.vocab_size={size}: the {name} text allows at most {most} pieces. "
            f"Set tokenizer.vocab_size={most} or lower, or give more text."
        )
    if fewest is not None:
        return (
            f"tokenizer.vocab_size={size}: the {name} text needs at least {fewest} pieces for its "
            "characters. Raise tokenizer.vocab_size, or lower tokenizer.character_coverage."
        )
    if "vocab_size" in message and ">= (0)" in message:
        return f"tokenizer.vocab_size={size} is smaller than the number of reserved pieces; raise it to 300 or more"
    if "sentences_.empty" in message:
        return f"the {name} text is empty: there is nothing to train the tokenizer on"
    return f"SentencePiece cannot train the {name} vocabulary: {message}"
