"""Prepares the data of a run: reads each split, trains the tokenizer on the training text, encodes. Each step is cached
under a hash of its inputs."""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seq2seq.config.schema import LengthSettings
from seq2seq.data.cache import cached, key_of
from seq2seq.data.encoded import EncodedCorpus, encode_split
from seq2seq.data.resampled import Resampler
from seq2seq.data.stored import FORMAT, StoredTexts, store_texts
from seq2seq.data.text import TextData
from seq2seq.errors import memory_errors
from seq2seq.interrupts import in_background
from seq2seq.tokenizer import SentencePiece, Tokenizer

log = logging.getLogger(__name__)

CACHE = Path(".cache/seq2seq")


@dataclass(frozen=True)
class Prepared:
    """The data of a run. `report` has a line for each split: its pairs, and how many were dropped or truncated."""

    tokenizer: Tokenizer
    corpora: dict[str, EncodedCorpus]
    report: list[str]
    resampler: Resampler | None  # None: the segmentation is the same in each epoch

    def close(self) -> None:
        """Stop the processes that segment the text of the next epochs."""
        if self.resampler is not None:
            self.resampler.close()

    def train(self, epoch: int) -> EncodedCorpus:
        """The training pairs of this epoch; with sampled segmentation, each epoch is encoded anew."""
        return self.corpora["train"] if self.resampler is None else self.resampler.encode(epoch)


@memory_errors("preparing the data")
def prepare(
    *,
    data: TextData,
    tokenizer: SentencePiece,
    length: LengthSettings,
    seed: int,
    cache: Path = CACHE,
    splits: Sequence[str] = ("train", "valid"),
    trained: Tokenizer | None = None,
    run: Path | None = None,
) -> Prepared:
    """All data of a run. `trained` is an existing tokenizer; if None, one is trained with the settings `tokenizer`.

    Processes with the same `run` folder share the epochs of a sampled segmentation. Raises DataError.
    """
    for split in splits:
        data.check_split(split)
    texts = {split: store_texts(data, split, cache) for split in splits}
    if trained is None:
        trained = train_tokenizer(tokenizer, texts["train"], cache)
    corpora = {
        split: encode_split(split, texts[split], trained, length, cache, drop=split == "train") for split in splits
    }
    resampler = None
    if tokenizer.sampling:
        owner = str(run.resolve()) if run else uuid.uuid4().hex
        name = key_of(corpora["train"].fingerprint, seed, tokenizer.sampling, owner)
        resampler = Resampler(corpora["train"], trained, tokenizer, length, seed, cache=cache, name=name)
    return Prepared(trained, corpora, [corpus.report for corpus in corpora.values()], resampler)


@memory_errors("preparing the data")
def prepare_split(
    *,
    data: TextData,
    split: str,
    tokenizer: Tokenizer,
    length: LengthSettings,
    cache: Path = CACHE,
    drop: bool = False,
) -> EncodedCorpus:
    """One split, encoded with a run's tokenizer; its `report` says how many pairs were truncated. Raises DataError."""
    return encode_split(split, store_texts(data, split, cache), tokenizer, length, cache, drop=drop)


def train_tokenizer(settings: SentencePiece, texts: StoredTexts, cache: Path) -> Tokenizer:
    """A tokenizer with these settings, trained on this text or loaded from the cache. Raises DataError."""
    key = key_of(FORMAT, texts.fingerprint, settings.identity())

    def build(folder: Path) -> None:
        in_background(lambda: settings.train(texts.prefixed_source, texts.prefixed_target)).save(folder)

    return Tokenizer.load(cached(cache, "tokenizer", key, build))
