"""The past of each hypothesis of a beam: ancestry instead of moving caches."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from seq2seq.types import State, hypothesis_part, source_part

LEAST_DEAD = 1 / 3  # of the slots unused, before the others are copied


@dataclass(frozen=True)
class Ancestry(State):
    """Which cache slots each hypothesis descends from. Beams reorder these few integers; the cache itself never moves.

    A step writes one slot per hypothesis (beams may change their width from step to step); `slots` are those of a
    hypothesis' own past, step by step, and `steps` is the step in which each slot was written. There were `length`
    steps; the first of them may have been dropped.
    """

    slots: Int[Tensor, "B K t"] = hypothesis_part()
    steps: Int[Tensor, "B P"] = source_part()
    length: int = 0

    @classmethod
    def empty(cls, sentences: int, device: torch.device) -> "Ancestry":
        """No past: one hypothesis per sentence, before its first step."""
        nothing = torch.zeros(sentences, 1, 0, dtype=torch.long, device=device)
        return cls(nothing, nothing[:, 0])

    def extend(self) -> "Ancestry":
        """The ancestry after this step's slots are written, one for each hypothesis."""
        sentences, beams, _ = self.slots.shape
        size = self.steps.shape[1]
        new = torch.arange(size, size + beams, device=self.slots.device).expand(sentences, beams)
        slots = torch.cat((self.slots, new.unsqueeze(-1)), -1)
        return Ancestry(slots, torch.cat((self.steps, torch.full_like(new, self.length)), 1), self.length + 1)

    def mask(self) -> Bool[Tensor, "B 1 K P"]:
        """True if a slot belongs to the hypothesis' own past."""
        sentences, beams, _ = self.slots.shape
        own = torch.zeros(sentences, beams, self.steps.shape[1], dtype=torch.bool, device=self.slots.device)
        return own.scatter_(2, self.slots, True).unsqueeze(1)

    def living(self, reach: int | None) -> tuple["Ancestry", Int[Tensor, "B p"]] | None:
        """The ancestry without slots that are in no hypothesis' past, or further back than `reach` steps, and the slots
        that are kept.

        Sentences with fewer such slots than others are filled up with unused ones. None if at most a third are unused.
        """
        own = self.slots if reach is None else self.slots[..., -reach:]
        alive = torch.zeros_like(self.steps, dtype=torch.bool).scatter_(1, own.flatten(1), True)
        most = int(alive.sum(1).max())
        if most >= (1 - LEAST_DEAD) * alive.shape[1]:
            return None
        staying = (~alive).byte().argsort(dim=1, stable=True)[:, :most]
        places = alive.cumsum(1) - 1
        slots = places.gather(1, own.flatten(1)).view_as(own)
        return Ancestry(slots, self.steps.gather(1, staying), self.length), staying
