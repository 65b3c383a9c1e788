"""Word alignments from attention: which source word each target word comes from."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

from seq2seq.analysis.attention.alignment_words import Segmented
from seq2seq.config.schema import AlignmentSettings

Link = tuple[int, int]  # source word, target word, from 0


def chosen_map(layers: Sequence[Float[np.ndarray, "H T S"]], settings: AlignmentSettings) -> Float[np.ndarray, "T S"]:
    """The weights used for alignments: one layer's, of one head or the mean over heads."""
    heads = layers[-1 if settings.layer is None else settings.layer - 1]
    return heads.mean(0) if settings.head is None else heads[settings.head - 1]


def word_weights(
    weights: Float[np.ndarray, "T S"], source: Segmented, target: Segmented, *, shift: bool
) -> Float[np.ndarray, "t s"]:
    """Weights between words: summed over a source word's pieces, averaged over a target word's.

    Rows are target words, columns source words and last the end symbol. A piece's row is the step that predicts it, or
    with `shift` the next step, which reads it (Chen et al. 2020, arXiv:2004.14837).
    """
    rows = weights[1:] if shift else weights[:-1]
    columns = rows @ source.membership()
    gathered = [columns[pieces].mean(0) if pieces else np.zeros(columns.shape[1]) for pieces in target.pieces]
    return np.stack(gathered) if gathered else np.zeros((0, columns.shape[1]))


def align(weights: Float[np.ndarray, "t s"], method: Literal["argmax", "intersect"]) -> list[Link]:
    """Links from the weights between words, the end symbol in the last column.

    argmax: each target word to the source word with the largest weight. intersect: of these, the links that are also
    the largest for the source word.
    """
    words = weights[:, :-1]
    if not words.size:
        return []
    best = words.argmax(1)
    links = [(int(s), t) for t, s in enumerate(best) if words[t, s] > 0]
    if method == "intersect":
        links = [(s, t) for s, t in links if words[:, s].argmax() == t]
    return links


def pharaoh(links: Sequence[Link]) -> str:
    """'0-0 2-1': source and target word, in order."""
    return " ".join(f"{source}-{target}" for source, target in sorted(links))


def described(settings: AlignmentSettings, heads: Sequence[int], reverse: str | None = None) -> str:
    """The method in words, for layers with these heads; `reverse` is the file of the other direction's links, if both
    are combined."""
    layer = "the last layer" if settings.layer is None else f"layer {settings.layer}"
    if settings.head is None:
        layer += f", mean of {heads[-1]} heads" if heads and heads[-1] > 1 else ""
    else:
        layer += f", head {settings.head}"
    step = "when each target piece is read (shift)" if settings.shift else "when each target piece is written"
    other = "" if reverse is None else f"; {settings.symmetrization} with {reverse}"
    return f"{settings.method} over words, from the weights of {layer}, {step}{other}"
