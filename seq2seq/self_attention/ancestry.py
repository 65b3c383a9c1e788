"""Which past each hypothesis of a beam has: ancestry instead of moving caches."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from seq2seq.types import State, hypothesis_part


@dataclass(frozen=True)
class Ancestry(State):
    """Which cache slots each hypothesis descends from. Beams reorder these few integers; the cache itself never moves.

    Step t writes one slot a hypothesis, `written[t]` in all (beams may widen or narrow from step to step); `slots`
    [B K t] are those of a hypothesis' own past.
    """

    slots: Int[Tensor, "B K P"] = hypothesis_part()
    written: tuple[int, ...] = ()

    @classmethod
    def empty(cls, sentences: int, device: torch.device) -> "Ancestry":
        """No past: one hypothesis a sentence, before its first step."""
        return cls(torch.zeros(sentences, 1, 0, dtype=torch.long, device=device))

    def extend(self) -> "Ancestry":
        """The ancestry after this step's slots are written, one for each hypothesis."""
        sentences, beams, _ = self.slots.shape
        size = sum(self.written)
        new = torch.arange(size, size + beams, device=self.slots.device).expand(sentences, beams)
        return Ancestry(torch.cat((self.slots, new.unsqueeze(-1)), -1), (*self.written, beams))

    def mask(self) -> Bool[Tensor, "B 1 K P"]:
        """True where a slot belongs to the hypothesis' own past."""
        sentences, beams, _ = self.slots.shape
        own = torch.zeros(sentences, beams, sum(self.written), dtype=torch.bool, device=self.slots.device)
        return own.scatter_(2, self.slots, True).unsqueeze(1)

    def positions(self) -> Int[Tensor, " P"]:
        """The step that each slot was written in, which is its token's position."""
        steps = [step for step, count in enumerate(self.written) for _ in range(count)]
        return torch.tensor(steps, device=self.slots.device)
