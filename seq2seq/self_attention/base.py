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
    """What the layers of one pass share: where its tokens stand, which keys each may read, and what the distance of the
    two adds to their score. Made once a pass, by any of the layers.

    `bias`, where there is one, holds the mask too, as -inf.
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
        """The scope of queries and keys at these positions; `mask` is True where a query may read a key.

        The keys of a cache lie in `slots`, each of which names one of the positions.
        """
        bias = None if position is None else position.bias(queries, keys)
        if bias is not None and slots is not None:
            bias = bias[..., slots].movedim(2, 0)
        if bias is None:
            return cls(queries, position, mask, None)
        return cls(queries, position, None, bias.masked_fill(~mask, float("-inf")))

    def rotate(self, states: Float[Tensor, "B H T d"]) -> Float[Tensor, "B H T d"]:
        """Queries or keys of this pass's tokens, as the position turns them."""
        return states if self.position is None else self.position.rotate(states, self.positions)


class SlotCache(State, ABC):
    """What steps left for later steps, in slots that an Ancestry numbers."""

    @abstractmethod
    def only(self, slots: Int[Tensor, "B p"]) -> Self:
        """These slots of each sentence, in this order."""


class SelfAttention(nn.Module, Component, ABC):
    """Each position of a sequence reads others of the same. Two roads that agree: `forward` runs whole sequences,
    `step` one position of K hypotheses. Shapes: [B T D] -> [B T D], D = `dim`.

    No cache lives on the module: what `step` leaves for later steps is in a State.
    """

    wired: ClassVar[frozenset[str]] = frozenset({"dim", "heads", "dropout"})

    @classmethod
    def problem(cls, *, heads: int, **arguments: Any) -> str | None:
        """Why these arguments cannot work together, or None."""
        return None

    @property
    def reach(self) -> int | None:
        """How many steps back a step reads, besides itself; None: all."""
        return None

    @abstractmethod
    def whole(self, real: Bool[Tensor, "B T"], position: Position | None, *, causal: bool) -> Scope:
        """The scope of whole sequences: tokens read `real` ones; where `causal`, only themselves and earlier ones."""

    @abstractmethod
    def latest(self, ancestry: Ancestry, position: Position | None) -> Scope:
        """The scope of one step, whose slots `ancestry` holds already: each hypothesis reads its own past."""

    @abstractmethod
    def forward(self, states: Float[Tensor, "B T D"], scope: Scope) -> Float[Tensor, "B T D"]:
        """All positions at once; `scope` is from `whole`."""

    @abstractmethod
    def empty_cache(self, sentences: int) -> SlotCache:
        """What the first step finds."""

    @abstractmethod
    def step(self, states: Float[Tensor, "B K D"], cache: Any, scope: Scope) -> tuple[Float[Tensor, "B K D"], Any]:
        """One step of K hypotheses, and the cache that holds it; `scope` is from `latest`."""
