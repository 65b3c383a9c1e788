"""Reads every split of a training's data, and asks all checks of the text what they find."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from seq2seq.analysis.doctor.unreadable import unreadable
from seq2seq.config.presets import TextSize
from seq2seq.config.schema import TrainSettings
from seq2seq.data.checks.alignment import numbers, outliers, steps, unrelated
from seq2seq.data.checks.characters import Characters
from seq2seq.data.checks.findings import Finding
from seq2seq.data.checks.languages import SAMPLE, Profiles
from seq2seq.data.checks.odd import empty_sides, odd_characters
from seq2seq.data.checks.repetition import copies, duplicates, overlaps
from seq2seq.data.checks.sides import wrong_sides
from seq2seq.data.checks.survey import Survey, survey
from seq2seq.data.stored import Column, StoredTexts, store_texts
from seq2seq.data.text import TextData
from seq2seq.data.text_size import training_text
from seq2seq.errors import DataError
from seq2seq.reporting.progress import counting

RATIO = 4.0  # times the usual ratio of the lengths: pairs beyond are reported
MANY = 20_000  # pairs of a validation set that takes long to decode
FEW = 200  # pairs of a set whose scores say little


@dataclass
class Looked:
    """The splits that could be read, and what was found in all."""

    data: TextData
    texts: dict[str, StoredTexts] = field(default_factory=dict)
    surveys: dict[str, Survey] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    profiles: Profiles | None = None


def text_of(settings: TrainSettings) -> TextData:
    """The training's data, each pair read once, in the direction of its files."""
    part = settings.data
    arguments = part.arguments
    if arguments.get("both_directions"):
        arguments = {**arguments, "both_directions": None}
    data: TextData = replace(part, arguments=arguments)()
    return data


def look(data: TextData, cache: Path) -> Looked:
    """Read everything and find what there is to find. Raises DataError if train or valid is missing."""
    looked = Looked(data)
    for split in ("train", "valid"):
        data.check_split(split)
    for split in data.splits():
        try:
            looked.texts[split] = store_texts(data, split, cache)
        except DataError as error:
            looked.findings += unreadable(data, split, error, needed=split in ("train", "valid"))
    characters = Characters()
    if "train" in looked.texts:
        looked.profiles = Profiles.of(*sample(looked.texts["train"], SAMPLE), characters)
    total = sum(map(len, looked.texts.values()))
    if total:
        with counting("looking at the text", total, "pairs") as advance:
            for split, texts in looked.texts.items():
                columns = (texts.source, texts.target)
                looked.surveys[split] = survey(columns, characters, looked.profiles, advance)
    looked.findings += found_in(looked.surveys, looked.profiles)
    return looked


def text_size(settings: TrainSettings) -> TextSize:
    """The size of the training text, for preset=auto; of one that cannot be read, which is reported later, none."""
    try:
        return training_text(settings)
    except DataError:
        return TextSize(0, 0)


def sample(texts: StoredTexts, most: int) -> tuple[list[str], list[str]]:
    """At most this many pairs, evenly spaced, as sources and targets."""
    rows = np.unique(np.linspace(0, len(texts) - 1, min(most, len(texts))).astype(int)).tolist()
    return _at(texts.source, rows), _at(texts.target, rows)


def _at(column: Column, rows: Sequence[int]) -> list[str]:
    return list(column[:]) if len(rows) == len(column) else [column[row] for row in rows]


def found_in(surveys: dict[str, Survey], profiles: Profiles | None) -> Iterator[Finding]:
    """What the checks of the text find."""
    usual = surveys["train"].script_letters if "train" in surveys else None
    for split, found in surveys.items():
        yield from _sizes(split, found)
        yield from empty_sides(split, found)
        yield from wrong_sides(split, found, profiles, usual)
        yield from steps(split, found)
        yield from unrelated(split, found)
        yield from outliers(split, found, RATIO)
        yield from duplicates(split, found)
        yield from copies(split, found)
        yield from odd_characters(split, found)
        yield from numbers(split, found)
    yield from overlaps(surveys)


def _sizes(split: str, found: Survey) -> Iterator[Finding]:
    if split == "train":
        return
    count = len(found)
    if count < FEW:
        text, advice = f"only {count:,} pairs: its scores vary a lot by chance", "give more, if there are more"
        yield Finding("few", "note", split, text, count, advice=advice)
    if split == "valid" and count > MANY:
        text = f"{count:,} pairs, which every validation decodes"
        yield Finding("many", "check", split, text, count, advice="trainer.validate_pairs=2000 takes some of them")
