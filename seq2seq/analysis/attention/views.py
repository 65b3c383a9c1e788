"""The attention weights of each sentence pair, with its target teacher-forced."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from seq2seq.analysis.attention.alignment import Link, align, chosen_map, word_weights
from seq2seq.analysis.attention.alignment_words import Segmented
from seq2seq.analysis.attention.entropy import MeanEntropy
from seq2seq.analysis.attention.symmetrization import Symmetrization, symmetrize
from seq2seq.config.schema import AlignmentSettings
from seq2seq.data.links import WordLinks
from seq2seq.errors import ConfigError
from seq2seq.inference.forced_attention import END, Forced
from seq2seq.tokenizer import Vocabulary


@dataclass(frozen=True)
class View:
    """A sentence pair. `links` are its word alignment, none if the memory is pooled.

    `forced` has the weights; None if there is no source token, or if only the links were requested.
    """

    source: Segmented
    target: Segmented
    links: list[Link]
    forced: Forced | None

    def columns(self, vocabulary: Vocabulary) -> list[str]:
        """The names of the weights' columns: source pieces and the end symbol, or the numbers of the memory's
        states."""
        assert self.forced is not None
        return self.forced.columns([vocabulary.piece(index) for index in self.source.ids])

    def rows(self, vocabulary: Vocabulary) -> list[str]:
        """The names of the weights' rows: target pieces and the end symbol."""
        return [*map(vocabulary.piece, self.target.ids), END]


@dataclass(frozen=True)
class Seen:
    """All views in order, and common values: each layer's number of heads, mean entropies [layers][heads]."""

    views: list[View]
    heads: list[int]
    entropy: list[list[float]]
    tokens: int
    pooled: bool

    def with_reverse(self, reverse: WordLinks, how: Symmetrization) -> "Seen":
        """The links combined with those of a run of the other direction, whose source is our target."""
        pairs = zip(self.views, reverse.turned(), strict=True)
        return replace(self, views=[replace(view, links=symmetrize(view.links, other, how)) for view, other in pairs])


def look(
    found: Iterable[tuple[int, Forced]],
    sources: Sequence[Segmented],
    targets: Sequence[Segmented],
    settings: AlignmentSettings,
    *,
    kept: int,
) -> Seen:
    """The results of `force`, pair by pair; the weights of the first `kept` pairs are kept, the others are reduced to
    links and entropies to save memory. Raises ConfigError for a layer or head that does not exist.
    """
    views = [View(source, target, [], None) for source, target in zip(sources, targets, strict=True)]
    entropy, pooled = MeanEntropy(), False
    heads: list[int] = []
    for number, forced in found:
        if not heads:
            heads, pooled = [len(layer) for layer in forced.layers], forced.pooled
            _check_map(settings, heads)
        entropy.add(forced.layers, forced.visible)
        source, target = sources[number], targets[number]
        links = [] if pooled else _links(forced, source, target, settings)
        views[number] = View(source, target, links, forced if number < kept else None)
    return Seen(views, heads, entropy.result(), entropy.tokens, pooled)


def _links(forced: Forced, source: Segmented, target: Segmented, settings: AlignmentSettings) -> list[Link]:
    weights: np.ndarray = chosen_map([layer.numpy() for layer in forced.layers], settings)
    return align(word_weights(weights, source, target, shift=settings.shift), settings.method)


def _check_map(settings: AlignmentSettings, heads: Sequence[int]) -> None:
    """Raise ConfigError for layers and heads that do not exist."""
    if settings.layer is not None and not 1 <= settings.layer <= len(heads):
        raise ConfigError(f"alignment.layer={settings.layer}: layers with attention are numbered 1 to {len(heads)}")
    there = heads[-1 if settings.layer is None else settings.layer - 1]
    if settings.head is not None and not 1 <= settings.head <= there:
        raise ConfigError(f"alignment.head={settings.head}: heads of this layer are numbered 1 to {there}")
