"""Presets: which one suits the amount of training text, and which values it gives the chosen parts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2seq.config.paths import shorten
from seq2seq.config.problems import did_you_mean, listed, show
from seq2seq.config.yaml_files import line_of
from seq2seq.config.yaml_reading import parse_yaml

# The most pairs and words of each preset's training text: the first preset that both allow is chosen. The words decide
# where texts are long: documents with their summaries are few pairs, but much text.
LIMITS: Mapping[str, tuple[int, int]] = {
    "tiny": (15_000, 600_000),
    "small": (60_000, 3_000_000),
    "medium": (400_000, 20_000_000),
}
LARGEST = "large"
ENDS = ("trainer.max_updates", "trainer.max_epochs", "trainer.max_minutes", "trainer.patience")  # what ends a run


@dataclass(frozen=True)
class TextSize:
    """The training text: pairs, and words of both sides together."""

    pairs: int
    words: int


def preset_for(text: TextSize) -> str:
    """The name of the preset for a training text of this size."""
    fits = [name for name, (pairs, words) in LIMITS.items() if text.pairs <= pairs and text.words <= words]
    return fits[0] if fits else LARGEST


@dataclass(frozen=True)
class PresetFile:
    """A file like configs/preset/small.yaml: below each heading, dotted keys and their values.

    A heading is `always`, or choices as they are typed (`decoder=lstm,gru optimizer=adamw`): it applies where each of
    them is made, a comma meaning or. Of two headings that apply and have the same key, the later one counts.
    """

    path: Path
    content: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> "PresetFile":
        """Raises NotYaml."""
        return cls(path, parse_yaml(path.read_bytes()) or {})

    def mistakes(self, groups: Iterable[str]) -> Iterator[str]:
        """A line for each heading that names no group, and each without keys."""
        for heading, values in self.content.items():
            place = f"{shorten(self.path)}:{line_of(self.path, heading)}"
            if not isinstance(values, dict):
                yield f"{place}: {heading}: expected keys with their values, got {show(values)}"
            for word in [] if heading == "always" else heading.split():
                group, equals, names = word.partition("=")
                if not (equals and names) or group not in groups:
                    yield (
                        f"{place}: expected always, or choices such as decoder=lstm,gru, got {word!r}"
                        f"{did_you_mean(group, groups) or '.'} Groups: {listed(groups)}"
                    )

    def values(self, choices: Mapping[str, str]) -> dict[str, Any]:
        """The values by dotted key that apply to these choices."""
        found: dict[str, Any] = {}
        for heading, values in self.content.items():
            found |= values if _applies(heading, choices) else {}
        return found


def _applies(heading: str, choices: Mapping[str, str]) -> bool:
    words = [] if heading == "always" else [word.partition("=") for word in heading.split()]
    return all(choices.get(group) in names.split(",") for group, _, names in words)


def left_alone(key: str, typed: Sequence[str]) -> bool:
    """Whether a preset must not set this key because it, a section above or a value inside it was typed; of what ends a
    run, whether any of it was."""
    if key in ENDS and set(ENDS) & set(typed):
        return True
    return any(f"{key}.".startswith(f"{word}.") or word.startswith(f"{key}.") for word in typed)
