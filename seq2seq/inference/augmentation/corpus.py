"""The corpus: training pairs, copies of the other splits, and the YAML file that makes the folder a choice of data."""

import json
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seq2seq.checkpoint.storage import replace_file
from seq2seq.config.command_line.overrides import literal
from seq2seq.config.schema import AugmentSettings, TrainSettings
from seq2seq.data.stored import SIDES
from seq2seq.data.text import TextData, read_lines
from seq2seq.errors import ConfigError, DataError
from seq2seq.files import read_json
from seq2seq.inference.augmentation.given import Given
from seq2seq.inference.augmentation.outputs import Outputs
from seq2seq.inference.augmentation.parallel_writer import parallel_writer
from seq2seq.inference.augmentation.selection import KEPT_WITH, Selection, Sides, one_line
from seq2seq.inference.trained_model import prefix_of
from seq2seq.types import Pair

NAME = "augmented"  # data=augmented
REPORT = "corpus.json"  # written last: its folder is complete

log = logging.getLogger(__name__)


@dataclass
class Report:
    """How many pairs the corpus has, by their origin, and how many outputs were left out, by the reason.

    `limits` counts the texts whose best output ended at a length limit, by its key.
    """

    original: int = 0
    merged: int = 0
    new: int = 0
    texts: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    limits: Counter[str] = field(default_factory=Counter)

    def line(self, folder: Path) -> str:
        """One line for the user."""
        counts = {"original": self.original, "merged": self.merged, "new": self.new}
        pairs = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count or name == "new")
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in self.left_out.items() if count) or "none"
        return f"wrote {folder}: {pairs} pairs from {self.texts:,} texts; outputs left out: {left_out}"

    def no_new_line(self) -> str:
        """One line on what left out most, if no output became a pair; '' otherwise."""
        if self.new or not self.left_out:
            return ""
        (reason, count), total = self.left_out.most_common(1)[0], self.left_out.total()
        advice = KEPT_WITH.get(reason)
        return f"no new pair: {count:,} of {total:,} outputs were {reason}{f' ({advice} keeps them)' if advice else ''}"


class Corpus:
    """Writes the corpus into `folder`. Every file is replaced as a whole, and depends only on the settings, the run's
    data and the outputs."""

    def __init__(self, folder: Path, script: AugmentSettings, settings: TrainSettings, data: TextData) -> None:
        self.folder = folder
        self.script = script
        self.settings = settings
        self.data = data

    def write(self, given: Given, outputs: Outputs) -> Report:
        """Write everything. Raises DataError, StorageError."""
        report = self._write_train(given, outputs)
        names = {split: self._write_split(split) for split in self.data.splits() if split != "train"}
        replace_file(self.folder / "data" / f"{NAME}.yaml", self._choice(names))
        content = {
            **{"original": report.original, "merged": report.merged, "new": report.new, "texts": report.texts},
            "left_out": dict(report.left_out),
            "tag": self.script.tag,
        }
        replace_file(self.folder / REPORT, json.dumps(content, ensure_ascii=False, indent=2) + "\n")
        if report.original + report.merged + report.new == 0:
            raise DataError(f"{self.folder}: no pair is left: change the filters (min_score, max_ratio, ...)")
        return report

    def arguments(self) -> list[str]:
        """The arguments of train.py that choose this corpus; a tag becomes a piece of the vocabulary. A run
        with a preset suggests one for the corpus, which may be much larger."""
        symbols = list(self.settings.tokenizer.arguments.get("symbols", []))
        tags = [self.script.tag, *(str(_report(folder)["tag"]) for folder in self.script.merge)]
        symbols += [tag for tag in dict.fromkeys(tags) if tag and tag not in symbols]
        quoted = ",".join('"' + symbol.replace('"', '\\"') + '"' for symbol in symbols)
        words = ["--config-dir", str(self.folder), f"data={NAME}"]
        words += ["preset=auto"] if self.settings.choices.get("preset", "none") != "none" else []
        return [*words, f"tokenizer.symbols=[{quoted}]"] if symbols else words

    def _write_train(self, given: Given, outputs: Outputs) -> Report:
        selection, report = Selection(self.script), Report(texts=given.count)
        with parallel_writer(self.folder, "train") as write:
            for pair in self._originals():
                selection.is_new(pair)
                write(pair)
                report.original += 1
            for pair, bare in self._merged():
                if selection.is_new(bare):
                    write(pair)
                    report.merged += 1
            for text, found in outputs.read(given):
                report.limits.update([found.limit] if found.limit else [])
                for source, target in selection(text, found):
                    write((f"{self.script.tag} {source}" if self.script.tag else source, target))
                    report.new += 1
        report.left_out = selection.left_out
        return report

    def _originals(self) -> Iterator[Sides]:
        """The training pairs of the run, in the direction of the corpus."""
        return (self._turned(pair) for pair in (self.data.read("train") if self.script.originals else ()))

    def _turned(self, pair: Pair) -> Sides:
        sides = one_line(pair.source), one_line(pair.target)
        return sides if self.script.direction == "forward" else (sides[1], sides[0])

    def _merged(self) -> Iterator[tuple[Sides, Sides]]:
        """The pairs of the other folders without the original ones, as they are there and without the tag."""
        for name in self.script.merge:
            folder, other = Path(name), _report(name)
            lines = zip(read_lines(folder / "train.source"), read_lines(folder / "train.target"), strict=True)
            tag = f"{other['tag']} " if other["tag"] else ""
            for number, (source, target) in enumerate(lines):
                if number >= other["original"]:
                    yield (source, target), (source.removeprefix(tag), target)

    def _write_split(self, split: str) -> dict[str, Any]:
        """Copy another split; the names of its files. References are kept if every pair has as many, and the source
        stays the source."""
        stem, forward = re.sub(r"[^\w.-]", "-", split), self.script.direction == "forward"
        counts = {len(pair.references) for pair in self.data.read(split)} if forward else {0}
        several = counts.pop() if len(counts) == 1 else 0
        if counts:
            log.warning("%s: the numbers of references differ, so only the targets were copied", split)
        more = [f"reference{number}" for number in range(1, several + 1)]
        with parallel_writer(self.folder, stem, *more) as write:
            for pair in self.data.read(split):
                write((*self._turned(pair), *map(one_line, pair.references[:several])))
        names: dict[str, Any] = {"source": f"{stem}.source", "target": f"{stem}.target"}
        return {**names, "references": [f"{stem}.{suffix}" for suffix in more]} if more else names

    def _choice(self, names: Mapping[str, dict[str, Any]]) -> str:
        """The YAML file of the choice data=augmented. JSON is YAML, too."""
        given, forward = self.settings.data.arguments, self.script.direction == "forward"
        languages = [given.get("source_language"), given.get("target_language")]
        usual = {split: files for split, files in names.items() if split in ("valid", "test")}
        content = {
            "root": str(self.folder.absolute()),
            "source_language": languages[0 if forward else 1],
            "target_language": languages[1 if forward else 0],
            "train": {"source": "train.source", "target": "train.target"},
            **usual,
            "extra": {split: files for split, files in names.items() if split not in usual},
            **{f"{side}_prefix": prefix_of(self.settings, side) if forward else "" for side in SIDES},
        }
        lines = [f"{key}: {json.dumps(literal(value), ensure_ascii=False)}" for key, value in content.items()]
        head = "# The pairs that augment has written here, and the other splits of its run's data."
        return "\n".join([head, "defaults:", "  - files", *lines]) + "\n"


def check_merged(script: AugmentSettings) -> None:
    """Raise ConfigError for a folder of `merge` that has no corpus, or is the one that is written."""
    for name in script.merge:
        if Path(name).resolve() == Path(script.output).resolve():
            raise ConfigError(f"merge={name} is the output itself: name other folders")
        _report(name)


def _report(folder: str) -> dict[str, Any]:
    """The counts of a folder's corpus. Raises ConfigError if it has none."""
    try:
        content = read_json(Path(folder) / REPORT)
        return {"original": int(content["original"]), "tag": str(content["tag"])}
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        why = f"there is no corpus ({Path(folder) / REPORT}); let its own command finish first"
        raise ConfigError(f"merge={folder}: {why}") from error
