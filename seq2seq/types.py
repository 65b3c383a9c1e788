"""The types that travel between packages, and the one legend of tensor axes.

    B  sentences of a batch            S  source positions        T  target positions
    K  hypotheses per sentence         V  vocabulary              H  attention heads
    E  embedding width                 D  hidden width            M  memory width
    Q  query width                     A  attention width         C  context width
    F  summary width                   L  layers                  N  rows of any kind

A mask is True for real tokens. Padding is on the right and has id `PAD`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from typing import Any, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.plain_types import BOS as BOS
from seq2seq.plain_types import EOS as EOS
from seq2seq.plain_types import PAD as PAD
from seq2seq.plain_types import UNK as UNK
from seq2seq.plain_types import Capability as Capability
from seq2seq.plain_types import Component as Component
from seq2seq.plain_types import Pair as Pair
from seq2seq.plain_types import Part as Part


@dataclass(frozen=True)
class Batch:
    """One micro-batch: rows of about the same length. `lengths` are of the sources; `pair_ids` index the data."""

    source: Int[Tensor, "B S"]
    source_mask: Bool[Tensor, "B S"]
    target_in: Int[Tensor, "B T"]
    target_out: Int[Tensor, "B T"]
    target_mask: Bool[Tensor, "B T"]
    lengths: Int[Tensor, " B"]
    pair_ids: Int[Tensor, " B"]

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`."""
        return Batch(*(getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)))


def source_part(default: Any = None) -> Any:
    """A State's field with one row per sentence: [B ...]."""
    return field(default=default, metadata={"part": "source"})


def hypothesis_part(default: Any = None) -> Any:
    """A State's field with one row per hypothesis: [B K ...]."""
    return field(default=default, metadata={"part": "hypothesis"})


def select_parents(rows: Tensor, parents: Int[Tensor, "B K"]) -> Tensor:
    """rows [B J ...] -> [B K ...]: hypothesis k of each sentence continues its parent's row."""
    index = parents.reshape(*parents.shape, *[1] * (rows.dim() - 2)).expand(*parents.shape, *rows.shape[2:])
    return rows.gather(1, index)


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    """Apply `change` to a tensor or State, or to each in a tuple of them."""
    if isinstance(value, tuple):
        return tuple(_each(item, change) for item in value)
    return change(value) if isinstance(value, Tensor | State) else value


@dataclass(frozen=True)
class State:
    """The state between steps: fields made by `source_part` or `hypothesis_part`, and others that all rows share.

    A field may be a tensor, another State, a tuple of them, or None. Nothing of the source is repeated per hypothesis.
    """

    def keep(self, sentences: Int[Tensor, " b"]) -> Self:
        """Only these sentences, in this order, in both parts."""

        def rows(value: Any) -> Any:
            return value.keep(sentences) if isinstance(value, State) else value.index_select(0, sentences)

        return replace(self, **{f.name: _each(getattr(self, f.name), rows) for f in fields(self) if f.metadata})

    def advance(self, parents: Int[Tensor, "B K"]) -> Self:
        """Hypothesis k of each sentence now continues hypothesis parents[b, k]."""

        def rows(value: Any) -> Any:
            return value.advance(parents) if isinstance(value, State) else select_parents(value, parents)

        changed = {
            f.name: _each(getattr(self, f.name), rows) for f in fields(self) if f.metadata.get("part") == "hypothesis"
        }
        return replace(self, **changed)


@dataclass(frozen=True)
class Memory(State):
    """The output of an encoder.

    `tokens` are the source ids of `states`, or None after pooling. `summary` is one vector per sentence, from which a
    recurrent decoder makes its first state.
    """

    states: Float[Tensor, "B S M"] = source_part()
    mask: Bool[Tensor, "B S"] = source_part()
    tokens: Int[Tensor, "B S"] | None = source_part()
    summary: Float[Tensor, "B F"] = source_part()


@dataclass(frozen=True)
class Attended:
    """What attention returns for each query: the context, and on request the weights (H = 1 if single-headed)."""

    context: Float[Tensor, "B T C"]
    weights: Float[Tensor, "B H T S"] | None = None
    penalty: Float[Tensor, "B T"] | None = None

    @staticmethod
    def join(steps: "list[Attended]") -> "Attended":
        """Join the results of single steps."""

        def along(parts: list[Tensor | None], axis: int) -> Tensor | None:
            return None if parts[0] is None else torch.cat(parts, axis)  # type: ignore[arg-type]

        return Attended(
            torch.cat([step.context for step in steps], 1),
            along([step.weights for step in steps], 2),
            along([step.penalty for step in steps], 1),
        )


@dataclass(frozen=True)
class Decoded:
    """A decoder's output for each target position, with one Attended per layer with attention; `inputs` are the
    embedded input tokens."""

    features: Float[Tensor, "B T D"]
    inputs: Float[Tensor, "B T E"]
    attended: tuple[Attended, ...]

    @property
    def weights(self) -> Float[Tensor, "B T S"]:
        """The weights of the last layer with attention, the mean over its heads; they must have been requested."""
        weights = self.attended[-1].weights
        assert weights is not None
        return weights.mean(1)


class Weights(IntEnum):
    """The layers whose attention weights are requested: all others keep their fused kernels."""

    NONE = 0
    LAST = 1
    ALL = 2

    def of(self, layer: int, layers: int) -> bool:
        """Whether the weights of this layer, counted from 0, are requested."""
        return self == Weights.ALL or (self == Weights.LAST and layer == layers - 1)
