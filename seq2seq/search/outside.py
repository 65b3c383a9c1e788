"""A model that another program searches as a whole, in the place of one that our search asks step by step."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from seq2seq.search.base import Hypothesis, Search


class OutsideModel(ABC):
    """Finds hypotheses itself, with the scores that our search gives them."""

    @abstractmethod
    def decode(
        self,
        search: Search,
        sentences: Sequence[Sequence[int]],
        *,
        tokens_per_batch: int,
        on_batch: Callable[[int], None] | None = None,
    ) -> list[list[Hypothesis]]:
        """As seq2seq.search.decode.decode; each sentence has at least one token."""
