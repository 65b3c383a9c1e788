"""The files of scripts/attention.py: pictures, the page, texts, alignments, entropies, error rates."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seq2seq.analysis.attention.alignment import chosen_map, pharaoh
from seq2seq.analysis.attention.alignment_error import AlignmentError
from seq2seq.analysis.attention.views import Seen, View
from seq2seq.checkpoint.storage import replace_file, storage_errors
from seq2seq.config.schema import AlignmentSettings
from seq2seq.reporting.attention_figures import attention_figure, attention_grid
from seq2seq.reporting.figures import save
from seq2seq.tokenizer import Tokenizer

PAGE, ERROR_RATE, ALIGNMENTS = "attention.html", "aer.json", "alignments.txt"
PICTURE = re.compile(r"s\d+(-heads)?\.png")


@dataclass(frozen=True)
class Origin:
    """The origin of what is shown. `search` is its settings, None for given targets; `alignment` is the method in
    words, None if there are no alignments."""

    run: str
    checkpoint: str
    source: str
    target: str
    search: dict[str, Any] | None
    alignment: str | None

    @property
    def title(self) -> str:
        """The heading of the page."""
        return f"Attention of {self.run}"

    def facts(self, seen: Seen) -> str:
        """The other facts, on one line."""
        line = f"{self.checkpoint}; {len(seen.views):,} sentences of {self.source}; targets from {self.target}."
        return line if self.alignment is None else f"{line} Alignments: {self.alignment}."


def clear(folder: Path) -> None:
    """Make the folder, without files of an earlier call that this one may not overwrite."""
    with storage_errors(f"write {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if PICTURE.fullmatch(path.name) or path.name in (ERROR_RATE, ALIGNMENTS):
                path.unlink()


def draw(folder: Path, number: int, view: View, tokenizer: Tokenizer, settings: AlignmentSettings) -> None:
    """s<number>.png, the map used for alignments, and s<number>-heads.png, all maps if there are several."""
    if view.forced is None:
        return
    layers = [layer.numpy() for layer in view.forced.layers]
    named = view.columns(tokenizer.source), view.rows(tokenizer.target), view.source.text
    with storage_errors(f"write {folder}"):
        save(attention_figure(chosen_map(layers, settings), *named), folder / f"s{number}.png")
        if view.forced.maps > 1:
            save(attention_grid(layers, *named), folder / f"s{number}-heads.png")


def write_texts(folder: Path, seen: Seen) -> None:
    """source.txt and target.txt, one pair per line, and their alignments in the Pharaoh format, if there are any."""
    _write_lines(folder / "source.txt", (view.source.text for view in seen.views))
    _write_lines(folder / "target.txt", (view.target.text for view in seen.views))
    if not seen.pooled:
        _write_lines(folder / ALIGNMENTS, (pharaoh(view.links) for view in seen.views))


def write_numbers(folder: Path, seen: Seen, error: AlignmentError | None, origin: Origin) -> None:
    """entropy.json and, with gold links, aer.json."""
    _write_json(folder / "entropy.json", {"entropy": seen.entropy, "target_tokens": seen.tokens, **asdict(origin)})
    if error is not None:
        _write_json(folder / ERROR_RATE, {**asdict(error), **asdict(origin)})


def table(seen: Seen, error: AlignmentError | None, origin: Origin) -> str:
    """The table for stdout: entropies, one row per layer, then the alignment error rate."""
    lines = [f"{origin.run}, {origin.checkpoint}; {len(seen.views):,} sentences of {origin.source}"]
    lines += ["entropy, from 0 (one position) to 1 (uniform), one row per layer, one column per head:"]
    lines += [f"{layer:>9}  " + "  ".join(f"{value:.3f}" for value in row) for layer, row in enumerate(seen.entropy, 1)]
    if error is not None:
        lines.append(f"alignment: {origin.alignment}")
        lines += [f"{name:>9}  {getattr(error, name):.3f}" for name in ("precision", "recall", "aer")]
        lines.append(f"{error.found:,} links, of gold {error.sure:,} sure and {error.possible:,} possible")
    return "\n".join(lines)


def _write_lines(path: Path, texts: Iterable[str]) -> None:
    """Line breaks inside a text become spaces; words keep their numbers."""
    replace_file(path, "".join(" ".join(text.split("\n")) + "\n" for text in texts))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    replace_file(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")
