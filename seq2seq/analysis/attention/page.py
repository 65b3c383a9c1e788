"""One self-contained HTML page with interactive attention weights: no network, nothing to install."""

import base64
import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from seq2seq.analysis.attention.alignment_error import Gold
from seq2seq.analysis.attention.alignment_words import Segmented
from seq2seq.analysis.attention.views import Seen, View
from seq2seq.config.schema import AlignmentSettings
from seq2seq.inference.forced_attention import END
from seq2seq.reporting.figures import shown_as
from seq2seq.tokenizer import Tokenizer

LONGEST_NAME = 60  # characters of a piece or word
SCALE = 65535  # weights are written as 16-bit numbers


def page(
    seen: Seen,
    shown: int,
    tokenizer: Tokenizer,
    settings: AlignmentSettings,
    gold: Sequence[Gold] | None,
    *,
    title: str,
    facts: str,
) -> str:
    """The page on the first `shown` pairs; it opens at the weights used for the alignments."""
    views = seen.views[:shown]
    data = {
        "facts": facts,
        "heads": seen.heads or [1],
        "layer": settings.layer or len(seen.heads) or 1,
        "head": settings.head or 0,
        "pooled": seen.pooled,
        "pairs": [
            pair(view, tokenizer, None if gold is None else gold[number], pooled=seen.pooled)
            for number, view in enumerate(views)
        ],
    }
    # No text may end its script element.
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return fill({"TITLE": html.escape(title), "DATA": written, "STYLE": _asset("css"), "SCRIPT": _asset("js")})


def pair(view: View, tokenizer: Tokenizer, gold: Gold | None, *, pooled: bool) -> dict[str, Any]:
    """The page's data of a pair; without weights it shows only the texts."""
    source, target = {"text": view.source.text}, {"text": view.target.text}
    if view.forced is None:
        return {"source": source, "target": target}
    columns = _names(view.columns(tokenizer.source))
    source |= {"pieces": columns} | (_each(columns) if pooled else _words(view.source))
    target |= {"pieces": _names(view.rows(tokenizer.target))} | _words(view.target)
    found: dict[str, Any] = {"source": source, "target": target}
    found["weights"] = packed([layer.numpy() for layer in view.forced.layers])
    if not pooled:
        found["links"] = view.links
    if gold is not None:
        found["gold"] = sorted(gold.possible)
    return found


def packed(layers: Sequence[Float[np.ndarray, "H T S"]]) -> str:
    """All maps, layer by layer and head by head, as little-endian 16-bit numbers in base64: 65535 is 1."""
    flat = np.concatenate([layer.reshape(-1) for layer in layers])
    return base64.b64encode(np.rint(np.clip(flat, 0.0, 1.0) * SCALE).astype("<u2").tobytes()).decode()


def fill(values: Mapping[str, str]) -> str:
    """The template with its @NAMES@ replaced, in one pass, so that inserted text is not replaced again."""
    return re.sub("@([A-Z]+)@", lambda match: values[match[1]], _asset("html"))


def _words(side: Segmented) -> dict[str, Any]:
    """The words and the end symbol, and the pieces of each."""
    return {"words": _names([*side.words, END]), "of": [*side.pieces, [len(side.ids)]]}


def _each(pieces: Sequence[str]) -> dict[str, Any]:
    """States of a pooled memory are not words: each is shown by itself."""
    return {"words": pieces, "of": [[slot] for slot in range(len(pieces))]}


def _names(pieces: Sequence[str]) -> list[str]:
    return [shown_as(piece, longest=LONGEST_NAME) for piece in pieces]


def _asset(ending: str) -> str:
    return Path(__file__).with_suffix(f".{ending}").read_text(encoding="utf-8")
