"""A split as token ids: two flat arrays with offsets, memory-mapped, and the raw text of each pair."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from seq2seq.config.schema import LengthSettings
from seq2seq.data.cache import cached, key_of
from seq2seq.data.stored import CHUNK, FORMAT, SIDES, Pairs, StoredTexts, map_array
from seq2seq.errors import DataError
from seq2seq.heartbeat import Place, heartbeat
from seq2seq.tokenizer import Tokenizer, Vocabulary

log = logging.getLogger(__name__)

NARROW = 1 << 16  # ids below this fit in 16 bits
ENTRY_FORMAT = 3  # raise it whenever an entry changes: counts.json, or ids of pairs that no training is made of


@dataclass(frozen=True)
class Truncated:
    """Shares of the pairs, 0 to 1, whose side was cut to length.max_source or length.max_target tokens."""

    source: float
    target: float


@dataclass(frozen=True)
class EncodedCorpus:
    """Pair i has the source ids source_ids[source_offsets[i]:source_offsets[i + 1]] and the text pairs[i].

    Ids are uint16 if the vocabulary fits, else int32; offsets int64 [n + 1]. No begin or end symbol is stored. Every
    target begins with the ids `target_start`, those of the data's `target_prefix`.
    """

    source_ids: np.ndarray
    source_offsets: np.ndarray
    target_ids: np.ndarray
    target_offsets: np.ndarray
    pairs: Pairs
    truncated: Truncated
    report: str  # one line: its size and what was left out
    fingerprint: str  # changes whenever an id or a text changes
    folder: Path  # of the arrays
    target_start: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.source_offsets) - 1

    @cached_property
    def source_lengths(self) -> np.ndarray:
        """Tokens of each source, int32."""
        return np.diff(self.source_offsets).astype(np.int32)

    @cached_property
    def target_lengths(self) -> np.ndarray:
        """Tokens of each target, int32."""
        return np.diff(self.target_offsets).astype(np.int32)

    def sample(self, most: int) -> "EncodedCorpus":
        """At most this many pairs, evenly spaced; the corpus itself if it has no more."""
        if len(self) <= most:
            return self
        rows = np.linspace(0, len(self) - 1, most).astype(np.int64)
        sides = [np.concatenate([side(int(row)) for row in rows]) for side in (self._source, self._target)]
        lengths = (self.source_lengths[rows], self.target_lengths[rows])
        offsets = [np.concatenate(([0], np.cumsum(each))).astype(np.int64) for each in lengths]
        return replace(
            self,
            source_ids=sides[0],
            source_offsets=offsets[0],
            target_ids=sides[1],
            target_offsets=offsets[1],
            pairs=self.pairs.at(rows),
            fingerprint=key_of(self.fingerprint, most),
        )

    def lines(self, pairs: Sequence[int] | np.ndarray) -> list[int]:
        """Where these pairs are in the text that was read, counted from 1: the lines of a file."""
        return (np.asarray(self.pairs.rows)[np.asarray(pairs, np.int64)] + 1).tolist()

    def _source(self, pair: int) -> np.ndarray:
        return self.source_ids[self.source_offsets[pair] : self.source_offsets[pair + 1]]

    def _target(self, pair: int) -> np.ndarray:
        return self.target_ids[self.target_offsets[pair] : self.target_offsets[pair + 1]]

    def source(self, pair: int) -> list[int]:
        """The source ids of a pair."""
        return self._source(pair).tolist()

    def target(self, pair: int) -> list[int]:
        """The target ids of a pair."""
        return self._target(pair).tolist()


def encode_split(
    split: str, texts: StoredTexts, tokenizer: Tokenizer, length: LengthSettings, cache: Path, *, drop: bool
) -> EncodedCorpus:
    """A split's ids, from the cache if possible.

    With `drop` (training) pairs with an empty side are left out and overlong ones treated according to
    `length.overlong`; without it (scoring) every pair is kept and overlong sides are truncated. Raises DataError if no
    pair is left.
    """
    bounds = [length.max_source, length.max_target, drop and length.overlong == "drop"]
    key = key_of(FORMAT, texts.fingerprint, tokenizer.fingerprint, drop, bounds)

    def build(folder: Path) -> None:
        log.info("encoding %s: %s pairs", split, f"{len(texts):,}")
        with heartbeat(f"encoding {split}") as place:
            _write(texts, tokenizer, length, folder, place, drop=drop)

    folder = cached(cache, "ids", key_of(key, ENTRY_FORMAT), build)
    counts = json.loads((folder / "counts.json").read_bytes())
    if not counts["pairs"]:
        raise DataError(
            f"{split}: no pair is left: {counts['empty']:,} have an empty side and {counts['overlong']:,} are over "
            f"{_bounds(length)}; check the files, or raise length.max_source and length.max_target"
        )
    arrays = {
        f"{side}_ids": map_array(folder / f"{side}.ids", id_type(vocabulary)) for side, vocabulary in _sides(tokenizer)
    }
    arrays |= {f"{side}_offsets": map_array(folder / f"{side}.offsets", np.int64) for side in SIDES}
    pairs = Pairs(texts, map_array(folder / "rows", np.int64))
    truncated = Truncated(*(counts[f"truncated_{side}"] / counts["pairs"] for side in SIDES))
    report = _report(split, counts, truncated, length)
    return EncodedCorpus(
        **arrays,
        pairs=pairs,
        truncated=truncated,
        report=report,
        fingerprint=key,
        folder=folder,
        target_start=tokenizer.target_start(texts.target_prefix),
    )


def id_type(vocabulary: Vocabulary) -> type:
    """The narrowest type that holds the vocabulary's ids."""
    return np.uint16 if vocabulary.size <= NARROW else np.int32


def flatten(rows: list[list[int]], dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Rows of ids as one array, and the length of each."""
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    return np.fromiter((i for row in rows for i in row), dtype, int(lengths.sum())), lengths


@dataclass
class _Counts:
    pairs: int = 0
    empty: int = 0  # pairs with an empty side, dropped
    overlong: int = 0  # pairs over the bounds, dropped
    truncated_source: int = 0  # sources over length.max_source, cut
    truncated_target: int = 0


def _write(
    texts: StoredTexts, tokenizer: Tokenizer, length: LengthSettings, folder: Path, place: Place, *, drop: bool
) -> None:
    counts = _Counts()
    with ExitStack() as stack:
        names = ["rows", *(f"{side}.{kind}" for side in SIDES for kind in ("ids", "offsets"))]
        files = {name: stack.enter_context((folder / name).open("wb")) for name in names}
        ends = dict.fromkeys(SIDES, 0)
        for side in SIDES:
            np.zeros(1, np.int64).tofile(files[f"{side}.offsets"])
        for start in range(0, len(texts), CHUNK):
            place(f"{start:,} of {len(texts):,} pairs")
            rows, encoded = _encode_chunk(texts, start, tokenizer, length, counts, drop=drop)
            (start + np.array(rows, np.int64)).tofile(files["rows"])
            for (side, vocabulary), ids in zip(_sides(tokenizer), encoded, strict=True):
                flat, lengths = flatten(ids, id_type(vocabulary))
                flat.tofile(files[f"{side}.ids"])
                (ends[side] + np.cumsum(lengths)).tofile(files[f"{side}.offsets"])
                ends[side] += len(flat)
    (folder / "counts.json").write_text(json.dumps(vars(counts)))


def _encode_chunk(
    texts: StoredTexts, start: int, tokenizer: Tokenizer, length: LengthSettings, counts: _Counts, *, drop: bool
) -> tuple[list[int], tuple[list[list[int]], list[list[int]]]]:
    """The rows of a chunk that are kept, counted from its start, and their ids."""
    chunk = slice(start, start + CHUNK)
    sources, targets = texts.source[chunk], texts.target[chunk]
    kept: list[int] = []
    kept_ids: tuple[list[list[int]], list[list[int]]] = ([], [])
    start_ids = list(tokenizer.target_start(texts.target_prefix))
    source_ids = tokenizer.source.encode(texts.prefixed_source[chunk])
    target_ids = [start_ids + ids for ids in tokenizer.target.encode(targets)]
    for row, (source, target) in enumerate(zip(source_ids, target_ids, strict=True)):
        over_source, over_target = len(source) > length.max_source, len(target) > length.max_target
        if drop and not (sources[row].strip() and targets[row].strip()):
            counts.empty += 1
            continue
        if drop and (over_source or over_target) and length.overlong == "drop":
            counts.overlong += 1
            continue
        counts.truncated_source += over_source
        counts.truncated_target += over_target
        kept.append(row)
        kept_ids[0].append(source[: length.max_source])
        kept_ids[1].append(target[: length.max_target])
    counts.pairs += len(kept)
    return kept, kept_ids


def _sides(tokenizer: Tokenizer) -> Iterator[tuple[str, Vocabulary]]:
    return zip(SIDES, (tokenizer.source, tokenizer.target), strict=True)


def _bounds(length: LengthSettings) -> str:
    if length.max_source == length.max_target:
        return f"{length.max_source} tokens"
    return f"{length.max_source} source or {length.max_target} target tokens"


def _report(split: str, counts: dict[str, int], truncated: Truncated, length: LengthSettings) -> str:
    """'train: 29,000 pairs, 3 empty and 2 over 256 tokens dropped, 1.5% of sources truncated to 256 tokens'."""
    dropped = [f"{counts['empty']:,} empty"] if counts["empty"] else []
    dropped += [f"{counts['overlong']:,} over {_bounds(length)}"] if counts["overlong"] else []
    parts = [f"{split}: {counts['pairs']:,} pairs"]
    parts += [" and ".join(dropped) + " dropped"] if dropped else []
    for side, share, longest in (
        ("sources", truncated.source, length.max_source),
        ("targets", truncated.target, length.max_target),
    ):
        percent = f"{share:.1%}" if share >= 0.001 else "under 0.1%"
        parts += [f"{percent} of {side} truncated to {longest} tokens"] if share else []
    return ", ".join(parts)
