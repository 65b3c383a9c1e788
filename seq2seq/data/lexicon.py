"""Translations of source tokens into target tokens: Brown et al. (1993), Computational Linguistics 19(2), Model 1,
section 4.2, learned from the training pairs by expectation and maximisation."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seq2seq.config.schema import TRANSLATIONS
from seq2seq.data.batches import TokenIds
from seq2seq.files import regular
from seq2seq.types import PAD

ITERATIONS = 5  # of expectation and maximisation: ranks hardly change after these
LINKS = 20_000_000  # pairs of a source and a target token that are used; Multi30k has 6 million
COUNTED = 2**22  # ids at a time
HEADERS = 10_000  # bytes, at most, of what is not numbers in a file
NOTHING = 0  # PAD's id is that of the empty source word, for target tokens without a counterpart


@dataclass(frozen=True)
class Lexicon:
    """translations[s] are the most likely target ids of the source id s, most likely first, padded on the right;
    `frequent` are target ids by frequency, most frequent first."""

    translations: np.ndarray  # [source vocabulary, at most TRANSLATIONS], int32
    frequent: np.ndarray  # [target vocabulary], int32

    def save(self, file: Path) -> None:
        """As numpy's arrays, without pickle."""
        with file.open("wb") as out:
            np.savez_compressed(out, translations=self.translations, frequent=self.frequent)

    def fits(self, source_size: int, target_size: int) -> bool:
        """Whether it fits vocabularies of these sizes."""
        rows = self.translations.ndim == 2 and len(self.translations) == source_size and self.frequent.ndim == 1
        tokens = (self.translations, self.frequent)
        return rows and all(
            part.dtype == np.int32 and (part.size == 0 or 0 <= part.min() <= part.max() < target_size)
            for part in tokens
        )

    @classmethod
    def load(cls, file: Path, source_size: int, target_size: int) -> "Lexicon":
        """What `save` wrote, for vocabularies of these sizes.

        Raises OSError, ValueError where it is for others, and what numpy and zipfile raise for damaged files.
        """
        with open(file, "rb", opener=regular) as raw, zipfile.ZipFile(raw) as members:
            most = (source_size * TRANSLATIONS + target_size) * 4 + HEADERS
            if (unpacked := sum(member.file_size for member in members.infolist())) > most:
                raise ValueError(f"it unpacks to {unpacked:,} bytes, and a lexicon of these vocabularies to {most:,}")
            read = [_read_array(members, f"{name}.npy", most) for name in ("translations", "frequent")]
        lexicon = cls(*read)
        if not lexicon.fits(source_size, target_size):
            raise ValueError("it was made for other vocabularies")
        return lexicon


def _read_array(members: zipfile.ZipFile, name: str, most: int) -> np.ndarray:
    """One array, whatever its header says no larger than `most` bytes."""
    with members.open(name) as member:
        raw = member.read(most + 1)
    if len(raw) > most:
        raise ValueError(f"{name} unpacks to more than {most:,} bytes")
    stream = io.BytesIO(raw)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError(f"{name} is of another format")
    shape, columns_first, kind = np.lib.format.read_array_header_1_0(stream)
    if columns_first or kind != np.int32:
        raise ValueError(f"{name} holds other numbers")
    return np.frombuffer(raw, np.int32, offset=stream.tell()).reshape(shape)


def learn_lexicon(corpus: TokenIds, source_size: int, target_size: int) -> Lexicon:
    """Model 1 of the corpus' pairs, or of evenly spaced ones with at most LINKS pairs of tokens.

    p(t | s) is the probability that s is translated by t; each target token is attributed to the source tokens of its
    sentence, and the empty word, in proportion to p. Token ids are without end symbols.
    """
    sources, targets, places = _links(corpus)
    words, link = np.unique(sources.astype(np.int64) * target_size + targets, return_inverse=True)
    source_of, target_of = np.divmod(words, target_size)
    probability = np.ones(len(words))
    for _ in range(ITERATIONS):
        likely = probability[link]
        shares = likely / np.bincount(places, likely)[places]
        counts = np.bincount(link, shares, len(words))
        probability = counts / np.bincount(source_of, counts, source_size)[source_of]
    translations = _best(source_of, target_of, probability, source_size)
    often = np.zeros(target_size, np.int64)
    for start in range(0, len(corpus.target_ids), COUNTED):
        often += np.bincount(corpus.target_ids[start : start + COUNTED], minlength=target_size)
    return Lexicon(translations, np.argsort(-often, kind="stable").astype(np.int32))


def _links(corpus: TokenIds) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every source token with every target token of its pair, the empty word too: their ids, and the target's place."""
    longs, shorts = corpus.target_lengths.astype(np.int64), corpus.source_lengths.astype(np.int64) + 1
    step = max(1, -(-int((longs * shorts).sum()) // LINKS))
    pairs = np.arange(0, len(longs), step)
    longs, shorts = longs[pairs], shorts[pairs]
    sizes = longs * shorts
    pair = np.repeat(np.arange(len(pairs), dtype=np.int32), sizes)
    inside = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    which, source = np.divmod(inside, shorts[pair])
    real = source > 0  # the empty word comes first
    sources = np.full(len(source), NOTHING, np.int32)
    sources[real] = corpus.source_ids[(corpus.source_offsets[pairs][pair] + source - 1)[real]]
    targets = np.asarray(corpus.target_ids)[corpus.target_offsets[pairs][pair] + which]
    places = (np.cumsum(longs) - longs)[pair] + which
    return sources, targets, places


def _best(source_of: np.ndarray, target_of: np.ndarray, probability: np.ndarray, source_size: int) -> np.ndarray:
    """The most likely targets of every source, padded to the longest."""
    order = np.lexsort((target_of, -probability, source_of))
    source_of, target_of = source_of[order], target_of[order]
    first = np.searchsorted(source_of, np.arange(source_size))
    rank = np.arange(len(source_of)) - first[source_of]
    kept = rank < TRANSLATIONS
    rows = np.full((source_size, int(rank[kept].max(initial=0)) + 1), PAD, np.int32)
    rows[source_of[kept], rank[kept]] = target_of[kept]
    return rows
