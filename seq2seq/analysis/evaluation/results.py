"""The files of evaluate.py in a run's eval folder: scores and their hypotheses.

<name>.json has the scores and what they depend on; <name>.hyp.jsonl the hypotheses as they were scored, one object
{"output": ...} per line; <name>.hyp.txt the same for reading, with spaces for the line breaks inside one.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2seq.checkpoint.storage import replace_file
from seq2seq.errors import CheckpointError
from seq2seq.files import read_bounded, read_json
from seq2seq.inference.line_output import one_line
from seq2seq.metrics.base import References

# Keys of the JSON other than scores: the split, hashes of its sources and references and of the hypotheses, and the
# settings other than the run's own, by their keys.
SPLIT, TEXTS, OUTPUTS, CHANGED = "split", "texts", "outputs", "changed"
DIGEST = 16  # letters
LARGEST_TEXTS = 1_000_000_000  # bytes of the hypotheses of a split


@dataclass(frozen=True)
class Result:
    """A stored evaluation: its JSON file and its content."""

    path: Path
    content: dict[str, Any]

    def changes_only(self, *sections: str) -> bool:
        """Whether only settings of these sections differ from the run's own. Unknown for results of older versions."""
        return all(key.split(".")[0] in sections for key in self.content.get(CHANGED, ["unknown"]))

    def measures(self, metric: str) -> bool:
        """Whether a score of this name is among the results."""
        return metric in self.scores

    @property
    def scores(self) -> list[str]:
        """The names of the scores."""
        return [name for name, value in self.content.items() if isinstance(value, dict) and "score" in value]

    def hypotheses(self) -> list[str] | None:
        """The texts that were scored; None if they are missing or were changed."""
        base = self.path.with_suffix("")
        lossless, plain = base.with_name(f"{base.name}.hyp.jsonl"), base.with_name(f"{base.name}.hyp.txt")
        for path in (lossless, plain):
            try:
                lines = read_bounded(path, LARGEST_TEXTS).decode().split("\n")[:-1]
                found = [json.loads(line)["output"] for line in lines] if path == lossless else lines
            except (OSError, ValueError, TypeError, KeyError, RecursionError):  # missing, or changed by hand
                continue
            if digest_outputs(found) == self.content.get(OUTPUTS):
                return found
        return None


def write_result(folder: Path, name: str, texts: Sequence[str], content: Mapping[str, Any]) -> Path:
    """Write the three files, the JSON last; its path. Raises StorageError."""
    lossless = "".join(json.dumps({"output": text}, ensure_ascii=False) + "\n" for text in texts)
    replace_file(folder / f"{name}.hyp.jsonl", lossless)
    replace_file(folder / f"{name}.hyp.txt", "".join(one_line(text) + "\n" for text in texts))
    path = folder / f"{name}.json"
    replace_file(path, json.dumps({**content, OUTPUTS: digest_outputs(texts)}, ensure_ascii=False, indent=2) + "\n")
    return path


def read_result(path: Path) -> Result:
    """Raises CheckpointError if the file is not a result."""
    try:
        content = read_json(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is broken: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get(CHANGED, {}), dict):
        raise CheckpointError(f"{path} is broken: it is not what evaluate writes")
    return Result(path, content)


def split_results(folder: Path, split: str) -> Iterator[Result]:
    """All results of a split in an eval folder that can be read: first <split>.json, then the others by name."""
    usual = folder / f"{split}.json"
    for path in [usual, *(path for path in sorted(folder.glob("*.json")) if path != usual)]:
        try:
            found = read_result(path)
        except CheckpointError:
            continue
        if path == usual or found.content.get(SPLIT) == split:
            yield found


def digest_texts(sources: Sequence[str], references: References) -> str:
    """A hash of sources and references: it changes with any of these texts."""
    return _digest([source, *several] for source, several in zip(sources, references, strict=True))


def digest_outputs(texts: Sequence[str]) -> str:
    """A hash of hypotheses."""
    return _digest(texts)


def _digest(rows: Any) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()[:DIGEST]
