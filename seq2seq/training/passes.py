"""A micro-batch's forward and backward pass, and what its random numbers come from."""

from seq2seq.training.device import Runtime
from seq2seq.training.objective import Losses, Objective
from seq2seq.training.strategy import Strategy
from seq2seq.types import Batch

OF_A_RANK = 1_640_531_527  # between the seeds of two processes; torch's generator on a CPU knows their lower 32 bits


class Passes:
    """Adds a micro-batch's gradients to those that the parameters hold."""

    def __init__(self, strategy: Strategy, objective: Objective, runtime: Runtime) -> None:
        self.strategy = strategy
        self.objective = objective
        self.runtime = runtime

    def __call__(self, batch: Batch, weight: int, tokens: int, *, last: bool) -> Losses:
        """The sums over the batch; it counts `weight` times in an update of so many tokens, of which it is the `last`
        micro-batch here or not. They are to be read before the next call."""
        with self.strategy.micro_batch(last=last):
            with self.runtime.autocast():
                losses = self.objective(self.strategy.module, batch)
            self.strategy.backward(weight * losses.total / tokens)
        return losses


def seed_of(seed: int, update: int, rank: int) -> int:
    """Dropout is a function of (seed, update, rank): what has been drawn before need not be kept to continue."""
    return (seed * 1_000_003 + update + rank * OF_A_RANK) % 2**63
