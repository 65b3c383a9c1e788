"""Every encoder, attention and decoder of configs/, found by glob, at small sizes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.config.schema import EmbeddingSettings, TrainSettings
from seq2seq.model.builder import build_model
from seq2seq.model.legality import problems
from seq2seq.model.model import Model
from seq2seq.types import BOS, EOS, PAD, Batch, Part

VOCAB = 23
WIDTH = 16
SMALL: dict[str, Any] = {
    "hidden_size": WIDTH,
    "layers": 2,
    "heads": 4,
    "inner_size": 20,
    "attn_dim": 10,
    "dropout": 0.0,
    "recurrent_dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "window": 2,
    "k": 2,
    "stride": 2,
    "size": 3,
    "recurrent": True,
}
BLOCKS = ("feed_forward", "layer_norm")  # of a Transformer's layers
MODEL = ("attention", "decoder", "encoder", "generator", "normalizer", "pooling", "position", "self_attention", *BLOCKS)
LAYERED = ("transformer", "average", "ssru")  # decoders of residual layers
LAYERS: list[dict[str, Any]] = [{"norm": "deep"}, {"distinct_layers": 1}, {"layer_drop": 0.1}]  # of such
RECURRENT = [
    {"attend": attend, "input_feeding": feeding} for attend in ("before", "after") for feeding in (False, True)
]


@cache
def choices(group: str) -> tuple[str, ...]:
    """The names of a group's files."""
    return tuple(sorted(path.stem for path in Path(CONFIGS, group).glob("*.yaml")))


@cache
def composed(*words: str) -> TrainSettings:
    """The settings of these choices, as a user composes them."""
    return load_train(compose(CONFIGS, "train", list(words)))


@cache
def together(turn: int) -> TrainSettings:
    """Choice number `turn` of each group of a model: composing is slow, so one composition serves all groups."""
    found = {group: choices(group) for group in MODEL}
    return composed(*(f"{group}={names[turn]}" for group, names in found.items() if turn < len(names)))


@cache
def choice(group: str, name: str) -> Part:
    """One choice of a group, at a small size. The other choices of its composition do not matter."""
    settings = together(choices(group).index(name)) if group in MODEL else composed(f"{group}={name}")
    part: Part = getattr(settings, group)
    small = {key: SMALL.get(key, value) for key, value in part.arguments.items()}
    if small.get("bidirectional"):
        small["hidden_size"] = WIDTH // 2
    return Part(part.name, part.target, small)


@dataclass(frozen=True)
class Triple:
    """An encoder, an attention and a decoder with its options, which the encoder shares if it has arguments of that
    name; `others` are choices of other groups."""

    encoder: str
    attention: str
    decoder: str
    options: tuple[tuple[str, Any], ...] = ()
    others: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        options = [str(value) if key == "attend" else f"{key}={value}".lower() for key, value in self.options]
        others = [f"{group}={name}" for group, name in self.others]
        return "-".join((self.encoder, self.attention, self.decoder, *options, *others))

    def settings(self, **changes: Any) -> TrainSettings:
        """Small settings of this triple; `changes` replace some."""
        encoder, decoder = choice("encoder", self.encoder), choice("decoder", self.decoder)
        shared = {key: value for key, value in self.options if key in encoder.arguments}
        decoder = Part(decoder.name, decoder.target, {**decoder.arguments, **dict(self.options)})
        small = {
            "encoder": Part(encoder.name, encoder.target, {**encoder.arguments, **shared}),
            "attention": choice("attention", self.attention),
            "decoder": decoder,
            "embedding": EmbeddingSettings(size=8, dropout=0.0, word_dropout=0.0),
            "tie": "none",
            **{group: choice(group, name) for group, name in self.others},
        }
        return replace(composed(), **{**small, **changes})

    def model(self, **changes: Any) -> Model:
        """A model of this triple in float64, in eval mode, always with the same weights."""
        torch.manual_seed(1)
        model = build_model(self.settings(**changes), source_vocab=VOCAB, target_vocab=VOCAB).double().eval()
        with torch.no_grad():
            for parameter in model.parameters():  # no parameter stays zero: every term must have an effect
                parameter += 0.1 * torch.randn_like(parameter)
        return model


def triples() -> Iterator[Triple]:
    """All triples, legal or not; recurrent decoders in each variant."""
    for encoder in choices("encoder"):
        for attention in choices("attention"):
            for decoder in choices("decoder"):
                variants = RECURRENT if "attend" in choice("decoder", decoder).arguments else [{}]
                for variant in variants:
                    yield Triple(encoder, attention, decoder, tuple(variant.items()))


def legal(candidates: Iterable[Triple]) -> list[Triple]:
    """The triples that the builder accepts."""
    return [triple for triple in candidates if not problems(triple.settings())]


@cache
def legal_triples() -> tuple[Triple, ...]:
    """Every legal encoder, attention and decoder."""
    return tuple(legal(triples()))


@cache
def legal_variations() -> tuple[Triple, ...]:
    """Each choice of the other groups, where it has an effect: each normalizer, pooling and generator with every
    attention, each position with every self-attention, each kind of block in a Transformer."""
    recurrent = tuple(RECURRENT[0].items())
    found = []
    for attention in choices("attention"):
        target: Any = choice("attention", attention).target
        if not target.gives():
            continue  # without attention these groups have no effect
        headed = "heads" in choice("attention", attention).arguments
        decoder, options = ("transformer", ()) if headed else ("lstm", recurrent)
        for group in ("pooling", "generator", "normalizer")[: 3 if "normalizer" in target.wired else 2]:
            found += [Triple("lstm", attention, decoder, options, ((group, name),)) for name in others(group)]
    for position in (composed().choices["position"], *others("position")):
        encoder = "lstm" if position == "none" else "transformer"  # without positions a transformer cannot reverse
        for self_attention in choices("self_attention"):
            parts = (("position", position), ("self_attention", self_attention))
            found.append(Triple(encoder, "multihead", "transformer", (), parts))
    for decoder in LAYERED:
        found += [Triple("transformer", "multihead", decoder, tuple(options.items())) for options in LAYERS]
        for group in BLOCKS:
            found += [Triple("transformer", "multihead", decoder, (), ((group, name),)) for name in others(group)]
    for decoder in LAYERED[1:]:  # without self-attention
        for name in others("position"):
            # The distances of alibi have no direction: only self-attention in the decoder can find it.
            encoder = "lstm" if name in ("none", "alibi") else "transformer"
            found.append(Triple(encoder, "multihead", decoder, (), (("position", name),)))
    found.append(Triple("transformer", "multihead", "average", (("average_feed_forward", True),)))
    for position in ("learned", "sinusoidal", "sinusoidal_2d"):
        found.append(Triple("gru", "bahdanau", "gru", recurrent, (("position", position),)))
    return tuple(legal(found))


def one_of_each_kind(candidates: Iterable[Triple], turn: int = 0) -> list[Triple]:
    """One triple of each set that differs only in GRU or LSTM (one class with two cells); `turn` selects which one."""
    kinds: dict[tuple[object, ...], list[Triple]] = {}
    for triple in candidates:
        classes = (choice("encoder", triple.encoder).target, choice("decoder", triple.decoder).target)
        kinds.setdefault((*classes, triple.attention, triple.options, triple.others), []).append(triple)
    return [same[(number + turn) % len(same)] for number, same in enumerate(kinds.values())]


def further_choices() -> list[Triple]:
    """Variations that together contain each choice of the other groups."""
    chosen: list[Triple] = []
    for triple in legal_variations():
        if set(triple.others) - {part for other in chosen for part in other.others}:
            chosen.append(triple)
    return chosen


def others(group: str) -> list[str]:
    """The choices of a group that are not the default one."""
    return [name for name in choices(group) if name != composed().choices[group]]


def some_batch(source_lengths: list[int], target_lengths: list[int], *, seed: int = 0, padding: int = 0) -> Batch:
    """Random sentences of these lengths (end symbols not counted), with `padding` more columns than needed."""
    random = torch.Generator().manual_seed(seed)

    def rows(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        width = max(lengths) + 1 + padding
        ids = torch.full((len(lengths), width), PAD)
        for row, length in enumerate(lengths):
            ids[row, :length] = torch.randint(EOS + 1, VOCAB, (length,), generator=random)
            ids[row, length] = EOS
        return ids, ids != PAD

    source, source_mask = rows(source_lengths)
    target, target_mask = rows(target_lengths)
    target_in = target.roll(1, 1)
    target_in[:, 0] = BOS
    target_in[~target_mask] = PAD
    numbers = torch.arange(len(source_lengths))
    return Batch(source, source_mask, target_in, target, target_mask, source_mask.sum(1), numbers)


def rows_of(batch: Batch, rows: list[int], *, trim: bool = False) -> Batch:
    """Some rows of a batch in another order; with `trim`, without columns that are all padding."""
    index = torch.tensor(rows)
    parts = [getattr(batch, name).index_select(0, index) for name in batch.__dataclass_fields__]
    if trim:
        source, target = int(parts[1].sum(1).max()), int(parts[4].sum(1).max())
        parts = [part[:, :source] for part in parts[:2]] + [part[:, :target] for part in parts[2:5]] + parts[5:]
    return Batch(*parts)
