"""A small corpus of English and German sentences, and what its checks find once it is broken."""

from itertools import product
from pathlib import Path

from seq2seq.analysis.doctor.look import Looked, look
from seq2seq.data.checks.findings import Finding
from seq2seq.data.files import FilePair, OptionalFilePair, ParallelFiles

WHO = {
    "The old captain": "Der alte Kapitän",
    "My younger sister": "Meine jüngere Schwester",
    "Nobody in this village": "Niemand in diesem Dorf",
    "A tired teacher": "Ein müder Lehrer",
    "The woman next door": "Die Frau von nebenan",
    "Every second student": "Jeder zweite Student",
}
DOES = {
    "has bought": "hat {} gekauft",
    "wanted to paint": "wollte {} anstreichen",
    "was looking for": "suchte überall nach {}",
    "could not find": "konnte {} nicht finden",
    "would have repaired": "hätte {} repariert",
}
WHAT = {
    "the bicycle": "das Fahrrad",
    "a wooden bench": "eine hölzerne Bank",
    "these three books about the weather": "diese drei Bücher über das Wetter",
    "the garden behind the house of the neighbours": "den Garten hinter dem Haus der Nachbarn",
    "it": "es",
}
WHEN = {
    "yesterday": "gestern",
    "before the long winter began": "bevor der lange Winter anfing",
    "during the holidays": "während der Ferien",
    "again": "wieder",
}
GERMAN, ENGLISH = [], []
for who, does, what, when in product(WHO, DOES, WHAT, WHEN):
    ENGLISH.append(f"{who} {does} {what} {when}.")
    GERMAN.append(f"{WHO[who]} {DOES[does].format(WHAT[what])}, {WHEN[when]}.")
ORDER = [(row * 173) % len(GERMAN) for row in range(len(GERMAN))]  # neighbours differ in all that they say
GERMAN, ENGLISH = [GERMAN[row] for row in ORDER], [ENGLISH[row] for row in ORDER]
assert len(set(ORDER)) == len(GERMAN) == 600

Sides = tuple[list[str], list[str]]


def clean() -> dict[str, Sides]:
    """Splits in which nothing is wrong."""
    places = {"train": slice(0, 540), "valid": slice(540, 570), "test": slice(570, 600)}
    return {split: (GERMAN[place], ENGLISH[place]) for split, place in places.items()}


def files(folder: Path, splits: dict[str, Sides]) -> ParallelFiles:
    """The splits as files of the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, sides in splits.items():
        for suffix, lines in zip(("de", "en"), sides, strict=True):
            (folder / f"{split}.{suffix}").write_bytes("".join(f"{line}\n" for line in lines).encode())
    test = OptionalFilePair("test.de", "test.en") if "test" in splits else OptionalFilePair(None, None)
    return ParallelFiles(
        root=str(folder),
        source_language="de",
        target_language="en",
        train=FilePair("train.de", "train.en"),
        valid=FilePair("valid.de", "valid.en"),
        test=test,
        extra={},
    )


def looked_at(folder: Path, splits: dict[str, Sides]) -> Looked:
    """What `look` makes of the splits."""
    return look(files(folder / "files", splits), folder / "cache")


def found_lines(findings: list[Finding]) -> dict[tuple[str, str, str | None], tuple[int, ...]]:
    """The first lines, from 1, by kind, split and side, without the remark that a split is small."""
    kept = [finding for finding in findings if finding.kind != "few"]
    return {(each.kind, each.split, each.side): tuple(row + 1 for row in each.rows) for each in kept}
