"""A cleaned copy of a corpus: which training pairs are left out, by which rule."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from seq2seq.analysis.doctor.look import Looked
from seq2seq.config.schema import DoctorSettings
from seq2seq.data.checks.alignment import ratios
from seq2seq.data.checks.characters import Characters
from seq2seq.data.checks.languages import SAMPLE, Profiles
from seq2seq.data.checks.repetition import copied, repeats
from seq2seq.data.checks.sides import foreign, misplaced, swapped
from seq2seq.data.checks.survey import Survey, survey
from seq2seq.data.stored import SIDES, Column, StoredTexts


@dataclass(frozen=True)
class Cleaned:
    """The `rows` of the training pairs that are kept, and how many each rule has left out."""

    rows: np.ndarray
    left_out: Counter[str]


class Kept(Sequence[str]):
    """Some rows of a column; neighbours are read together."""

    def __init__(self, column: Column, rows: np.ndarray) -> None:
        self._column, self._rows = column, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, int):
            return self._column[int(self._rows[index])]
        rows = self._rows[index]
        if not len(rows):
            return []
        first = int(rows[0])
        texts = self._column[first : int(rows[-1]) + 1]
        return [texts[row] for row in (rows - first).tolist()]


def clean(script: DoctorSettings, looked: Looked) -> Cleaned:
    """Apply the rules until they find nothing more: what is usual in a corpus changes with what is left out."""
    texts = looked.texts["train"]
    rows, left_out = np.arange(len(texts)), Counter[str]()
    others = [found.pairs for split, found in looked.surveys.items() if split != "train"]
    held_out = np.unique(np.concatenate(others)) if others else np.zeros(0, np.int64)
    found, profiles = looked.surveys["train"], looked.profiles
    while True:
        out = np.zeros(len(rows), bool)
        for rule, where in _rules(script, found, profiles, held_out):
            left_out[rule] += int((where & ~out).sum())
            out |= where
        rows = rows[~out]
        if not out.any() or not len(rows):
            break
        found, profiles = _look_again(texts, rows)
    return Cleaned(rows, left_out)


def _rules(
    script: DoctorSettings, found: Survey, profiles: Profiles | None, held_out: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Each rule that is on, and which pairs it leaves out. What the first one has counted is not counted again."""
    if script.drop_empty:
        yield "empty (drop_empty)", found.source.blank | found.target.blank
    if script.drop_copies:
        yield "source = target (drop_copies)", copied(found)
    if script.drop_duplicates:
        yield "repeating an earlier pair (drop_duplicates)", repeats(found.pairs)
    if script.drop_overlap:
        yield "pairs of another split (drop_overlap)", np.isin(found.pairs, held_out)
    if script.drop_wrong_side:
        wrong = swapped(found, profiles)
        for side in SIDES:
            wrong = wrong | misplaced(found, profiles, side) | foreign(found, side)
        yield "in another language (drop_wrong_side)", wrong
    if script.max_ratio is not None:
        yield f"of unusual lengths (max_ratio={script.max_ratio:g})", ratios(found) > script.max_ratio


def _look_again(texts: StoredTexts, rows: np.ndarray) -> tuple[Survey, Profiles | None]:
    """The numbers of what is kept, as a new corpus."""
    characters = Characters()
    columns = (Kept(texts.source, rows), Kept(texts.target, rows))
    places = np.unique(np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(int))
    sampled = [Kept(column, rows[places])[:] for column in (texts.source, texts.target)] if len(rows) else [[], []]
    profiles = Profiles.of(sampled[0], sampled[1], characters)
    return survey(columns, characters, profiles), profiles
