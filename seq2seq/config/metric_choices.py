"""Which choice of metrics has a score: for messages about one that was not measured."""

from pathlib import Path

from seq2seq.config.reading import Reader
from seq2seq.config.targets import Targets
from seq2seq.config.yaml_files import read_yaml
from seq2seq.types import Part


def choices_that_measure(name: str, configs: Path) -> list[str]:
    """The choices of the folder metrics/ of `configs` that have a score called `name`, in alphabetical order."""
    found = []
    for file in sorted((configs / "metrics").glob("*.yaml")):
        parts = Reader(Targets()).value("metrics", dict[str, Part], read_yaml(file))
        try:
            names = [score for part in parts.values() for score in part().names]
        except (AttributeError, TypeError, ValueError):  # what cannot be built here is no advice
            continue
        if name in names:
            found.append(file.stem)
    return found
