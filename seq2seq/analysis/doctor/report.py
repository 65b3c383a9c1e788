"""The report as plain text: sizes and lengths, what was found with examples, the machine, and a verdict."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from seq2seq.analysis.doctor.look import Looked
from seq2seq.analysis.doctor.machine import Machine, machine_lines
from seq2seq.analysis.doctor.places import file_names, files_of, numbers
from seq2seq.analysis.doctor.tokens import Tokens
from seq2seq.config.schema import DoctorSettings
from seq2seq.data.checks.findings import LEVELS, Finding, shown
from seq2seq.data.checks.odd import first_odd
from seq2seq.data.checks.repetition import several
from seq2seq.data.stored import SIDES, StoredTexts

BARS = 24  # characters of the longest bar
BINS = 8
EXAMPLES = 3  # pairs of a finding whose texts are shown
# Kinds of findings in train that fix=FOLDER leaves out, and those in other splits for which it does so in train.
FIXED = {"empty", "copies", "duplicates", "ratio", "swapped", "wrong-side", "script"}
FIXED_IN_TRAIN = {"overlap-train"}


@dataclass(frozen=True)
class Report:
    """Everything that was seen; `again` is this command for a shell."""

    looked: Looked
    tokens: Tokens
    machine: Machine
    findings: Sequence[Finding]
    script: DoctorSettings
    again: str

    def lines(self) -> Iterator[str]:
        """The report, line by line."""
        yield from self._sizes()
        if "train" in self.looked.surveys:
            yield from self._lengths()
            yield from self._histogram()
        yield from self._found()
        yield from heading("The machine")
        yield from (f"  {line}" for line in machine_lines(self.machine))
        yield from self._verdict()

    def _sizes(self) -> Iterator[str]:
        yield from heading("The corpus")
        head = ["", "pairs", "words", "", "characters", "", "same source,", "same target,"]
        yield row([head[0], *head[1:]])
        yield row(["", "", "source", "target", "source", "target", "other target", "other source"])
        for split, found in self.looked.surveys.items():
            sides = (found.source, found.target)
            counts = [int(getattr(side, name).sum()) for name in ("words", "characters") for side in sides]
            hashes = [side.hashes for side in sides]
            counts += [several(*hashes), several(*reversed(hashes))]
            yield row([split, f"{len(found):,}", *(f"{count:,}" for count in counts)])
        for split in self.looked.surveys:
            if files := files_of(self.looked.data, split):
                yield f"  {split}: {', '.join(dict.fromkeys(map(str, files.values())))}"
        yield f"  tokenizer: {self.tokens.vocabulary}"

    def _lengths(self) -> Iterator[str]:
        yield from heading("Lengths of the training texts")
        yield row(["", "median", "95%", "99%", "longest"])
        for name, values in self._measures():
            filled = values[values > 0]
            if len(filled):
                cells = [*np.percentile(filled, [50, 95, 99]).round().astype(int).tolist(), int(filled.max())]
                yield row([name, *(f"{cell:,}" for cell in cells)], first=20)

    def _measures(self) -> Iterator[tuple[str, np.ndarray]]:
        found = self.looked.surveys["train"]
        for measure in ("words", "characters"):
            for side in SIDES:
                yield f"{measure}, {side}", getattr(found.side(side), measure)
        for side in SIDES:
            if ("train", side) in self.tokens.lengths:
                yield f"tokens, {side}", self.tokens.lengths["train", side]

    def _histogram(self) -> Iterator[str]:
        """Both sides in tokens, or without a tokenizer in words; the last row has all that is longer."""
        measure = "tokens" if ("train", "source") in self.tokens.lengths else "words"
        sides = {name.split(", ")[1]: values for name, values in self._measures() if name.startswith(measure)}
        most = max(int(np.percentile(values, 99)) for values in sides.values())
        width = max(-(-most // BINS), 1)
        edges = [*range(0, width * BINS + 1, width), np.inf]
        counts = {side: np.histogram(values - 0.5, edges)[0] for side, values in sides.items()}
        scale = max(int(count.max()) for count in counts.values())
        yield ""
        yield f"  {measure:>10}  {'source':<{BARS + 9}}target"
        for place, (low, high) in enumerate(pairwise(edges)):
            label = f"{low + 1:.0f}-{high:.0f}" if high < np.inf else f"over {low:.0f}"
            bars = [f"{bar(counts[side][place], scale)} {counts[side][place]:,}" for side in SIDES]
            yield f"  {label:>10}  {bars[0]:<{BARS + 9}}{bars[1]}".rstrip()

    def _found(self) -> Iterator[str]:
        yield from heading("What was found")
        for finding in self.findings:
            yield f"  [{finding.level}] {headline(finding)}"
            yield from self._places(finding)
            if finding.advice:
                yield f"      -> {finding.advice}"
        if not self.findings:
            yield "  nothing"

    def _places(self, finding: Finding) -> Iterator[str]:
        if not finding.rows:
            return
        file = file_names(self.looked.data, finding.split, finding.side)
        places = numbers(self.looked.data, finding.rows, more=finding.count > len(finding.rows))
        yield f"      {places}{f' of {file}' if file else ''}"
        if finding.split not in self.looked.texts:
            return
        texts = self.looked.texts[finding.split]
        for place in finding.rows[:EXAMPLES]:
            yield f"      {place + 1:>8}: {' | '.join(_example(texts, place, finding))}"

    def _verdict(self) -> Iterator[str]:
        yield from heading("Verdict")
        counts = Counter(finding.level for finding in self.findings)
        notes = f"; notes above: {counts['note']}" if counts["note"] else ""
        yield f"  serious: {counts['serious']}, to check: {counts['check']}{notes}"
        for finding in [finding for finding in self.findings if finding.level != "note"]:
            more = " max_ratio=4" if finding.kind == "ratio" else ""
            advice = f"fix=FOLDER{more}" if is_fixable(finding) else finding.advice
            yield f"  {finding.level:<8} {headline(finding)}{f' -> {advice}' if advice else ''}"
        fixable = [finding for finding in self.findings if is_fixable(finding) and finding.kind != "ratio"]
        if fixable and self.script.fix is None:
            yield "A copy of the data without what fix leaves out:"
            yield f"  {self.again} fix=FOLDER"


def _example(texts: StoredTexts, place: int, finding: Finding) -> list[str]:
    """The beginnings of both texts, or of odd characters what is around the first."""
    if finding.kind != "characters":
        return [shown(texts.source[place]), shown(texts.target[place])]
    text = (texts.source if finding.side == "source" else texts.target)[place]
    return [shown(text, around=first_odd(text))]


def is_fixable(finding: Finding) -> bool:
    """Whether fix=FOLDER leaves out what was found."""
    return (finding.split == "train" and finding.kind in FIXED) or finding.kind in FIXED_IN_TRAIN


def headline(finding: Finding) -> str:
    """The finding as a sentence that begins with its split."""
    return f"{finding.split}: {finding.text}"


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """Serious ones first."""
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))


def heading(text: str) -> Iterator[str]:
    """A heading after an empty line."""
    yield ""
    yield text


def row(cells: Sequence[str], *, first: int = 8) -> str:
    """Cells in columns."""
    return f"  {cells[0]:<{first}}" + "".join(f"{cell:>13}" for cell in cells[1:])


def bar(count: int, most: int) -> str:
    """A bar of signs; at least one where there is anything."""
    return "#" * max(round(BARS * count / max(most, 1)), int(count > 0))
