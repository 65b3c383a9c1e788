"""The corpus in tokens: lengths, what the limits drop or cut, and what the vocabulary lacks."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from seq2seq.analysis.doctor.look import Looked
from seq2seq.checkpoint.folder import RunFolder
from seq2seq.config.schema import LengthSettings, TrainSettings
from seq2seq.data.checks.findings import Finding, counted, percent
from seq2seq.data.encoded import EncodedCorpus, encode_split
from seq2seq.data.prepare import train_tokenizer
from seq2seq.data.stored import SIDES, store_texts
from seq2seq.errors import DataError
from seq2seq.huggingface.folder import ModelFolder
from seq2seq.plain_types import UNK
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.teachers import teachers_tokenizer

FEW = 0.001  # of tokens that may be unknown

log = logging.getLogger(__name__)


@dataclass
class Tokens:
    """Each split as a training encodes it: `lengths` by split and side. `vocabulary` is one line on the tokenizer."""

    vocabulary: str = "not counted"
    lengths: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def count_tokens(settings: TrainSettings, looked: Looked) -> Tokens:
    """The tokens, from the cache if a training or this command was there before."""
    if "train" not in looked.texts:
        return Tokens()
    cache = Path(settings.cache_dir)
    try:
        tokenizer = _tokenizer(settings, cache)
        if tokenizer is None:
            return Tokens("not counted: the tokenizer is that of another program's folder")
        tokens = Tokens(_vocabulary(tokenizer))
        for split, texts in looked.texts.items():
            corpus = encode_split(split, texts, tokenizer, settings.length, cache, drop=split == "train")
            tokens.lengths |= {(split, "source"): corpus.source_lengths, (split, "target"): corpus.target_lengths}
            tokens.findings += _found(split, corpus, looked, settings.length)
    except DataError as error:
        return Tokens("not counted", findings=[Finding("tokenizer", "serious", "train", str(error), 1)])
    return tokens


def _tokenizer(settings: TrainSettings, cache: Path) -> Tokenizer | None:
    """The one that the training would have: that of its run if there is one, of another run that it starts from, or a
    new one."""
    folder = RunFolder.of(settings.run)
    if folder.exists():
        return Tokenizer.load(folder.tokenizer_folder)
    if settings.init_from is not None:
        if ModelFolder.of(settings.init_from) is not None:
            return None
        return Tokenizer.load(RunFolder.of(settings.init_from).tokenizer_folder)
    if settings.teacher:
        return teachers_tokenizer(settings)
    return train_tokenizer(settings.tokenizer(), store_texts(settings.data(), "train", cache), cache)


def _vocabulary(tokenizer: Tokenizer) -> str:
    sizes = [tokenizer.source.size] if tokenizer.joint else [tokenizer.source.size, tokenizer.target.size]
    return (
        f"{'one vocabulary' if tokenizer.joint else 'vocabularies'} of {' and '.join(f'{n:,}' for n in sizes)} pieces"
    )


def _found(split: str, corpus: EncodedCorpus, looked: Looked, length: LengthSettings) -> Iterator[Finding]:
    survey, total = looked.surveys[split], len(looked.texts[split])
    if split == "train":
        left = np.ones(total, bool)
        left[corpus.pairs.rows] = False
        left &= ~(survey.source.blank | survey.target.blank)
        if count := int(left.sum()):
            yield Finding(
                "overlong",
                "check" if count > 0.01 * total else "note",
                split,
                f"{count:,} of {total:,} pairs ({percent(count, total)}) are over {length.max_source} source or "
                f"{length.max_target} target tokens, so training leaves them out",
                count,
                advice="length.overlong=truncate keeps their beginning; length.max_source and length.max_target "
                "raise the limits",
            ).at(np.flatnonzero(left))
    for side, limit in zip(SIDES, (length.max_source, length.max_target), strict=True):
        share = getattr(corpus.truncated, side)
        if share:
            count = round(share * len(corpus))
            lengths = corpus.source_lengths if side == "source" else corpus.target_lengths
            yield Finding(
                "truncated",
                "check" if share > 0.05 else "note",
                split,
                f"{counted(count, side)} ({percent(count, len(corpus))}) cut to {limit} tokens",
                count,
                side=side,
                advice=f"length.max_{side} raises the limit",
            ).at(corpus.pairs.rows[np.flatnonzero(lengths == limit)])
        yield from _unknown(split, corpus, side)


def _unknown(split: str, corpus: EncodedCorpus, side: str) -> Iterator[Finding]:
    ids, offsets = (getattr(corpus, f"{side}_{name}") for name in ("ids", "offsets"))
    places = np.flatnonzero(np.asarray(ids) == UNK)
    if len(places):
        rows = np.unique(np.searchsorted(offsets, places, side="right") - 1)
        yield Finding(
            "unknown",
            "check" if len(places) > FEW * len(ids) else "note",
            split,
            f"{counted(len(places), f'{side} token')} ({percent(len(places), len(ids))}) unknown to the vocabulary",
            len(places),
            side=side,
            advice="tokenizer.byte_fallback=true writes rare characters as bytes",
        ).at(corpus.pairs.rows[rows])
