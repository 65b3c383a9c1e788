"""The contract of every self-attention."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.position.base import Position
from seq2seq.self_attention.ancestry import Ancestry
from seq2seq.types import Component, State


@dataclass(frozen=True)
class Scope:
    """What the layers of one pass share: the positions of its tokens, which keys each may attend to, and the position
    bias of the scores. Computed once per pass, by any of the layers.

    `bias`, if there is one, includes the mask, as -inf.
    """

    positions: Int[Tensor, " T"]
    position: Position | None
    mask: Bool[Tensor, "#B 1 #T P"] | None
    bias: Float[Tensor, "#B H #T P"] | None

    @classmethod
    def of(
        cls,
        mask: Bool[Tensor, "#B 1 #T P"],
        position: Position | None,
        queries: Int[Tensor, " T"],
        keys: Int[Tensor, " t"],
        slots: Int[Tensor, "B P"] | None = None,
    ) -> "Scope":
        """The scope of queries and keys at these positions; `mask` is True if a query may attend to a key.

        The keys of a cache are in `slots`, which are indices of the positions.
        """
        bias = None if position is None else position.bias(queries, keys)
        if bias is not None and slots is not None:
            bias = bias[..., slots].movedim(2, 0)
        if bias is None:
            return cls(queries, position, mask, None)
        return cls(queries, position, None, bias.masked_fill(~mask, float("-inf")))

    def rotate(self, states: Float[Tensor, "B H T d"]) -> Float[Tensor, "B H T d"]:
        """Queries or keys of this pass's tokens, rotated by the position encoding."""
        return states if self.position is None else self.position.rotate(states, self.positions)


class SlotCache(State, ABC):
    """The cache of earlier steps, in slots that an Ancestry numbers."""

    @abstractmethod
    def only(self, slots: Int[Tensor, "B p"]) -> Self:
        """These slots of each sentence, in this order."""


class SelfAttention(nn.Module, Component, ABC):
    """Each position of a sequence attends to others of the same. `forward` runs whole sequences, `step` one position of
    K hypotheses, with the same results. Shapes: [B T D] -> [B T D], D = `dim`.

    The module has no cache: what `step` stores for later steps is in a State.
    """

    wired: ClassVar[frozenset[str]] = frozenset({"dim", "heads", "dropout"})

    @classmethod
    def problem(cls, *, heads: int, **arguments: Any) -> str | None:
        """Why these arguments cannot work together, or None."""
        return None

    @property
    def reach(self) -> int | None:
        """How many steps back a step attends, in addition to itself; None: all."""
        return None

    def value_weights(self) -> list[Tensor]:
        """The matrices of values and of the output, which `norm: deep` makes smaller at the start."""
        return []

    @abstractmethod
    def whole(self, real: Bool[Tensor, "B T"], position: Position | None, *, causal: bool) -> Scope:
        """The scope of whole sequences: tokens attend to `real` ones; if `causal`, only to themselves and earlier
        ones."""

    @abstractmethod
    def latest(self, ancestry: Ancestry, position: Position | None) -> Scope:
        """The scope of one step, whose slots are already in `ancestry`: each hypothesis attends to its own past."""

    @abstractmethod
    def forward(self, states: Float[Tensor, "B T D"], scope: Scope) -> Float[Tensor, "B T D"]:
        """All positions at once; `scope` is from `whole`."""

    @abstractmethod
    def empty_cache(self, sentences: int) -> SlotCache:
        """The cache before the first step."""

    @abstractmethod
    def step(self, states: Float[Tensor, "B K D"], cache: Any, scope: Scope) -> tuple[Float[Tensor, "B K D"], Any]:
        """One step of K hypotheses, and the new cache; `scope` is from `latest`."""
