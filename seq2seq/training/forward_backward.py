"""A micro-batch's forward and backward pass, and its random seeds."""

from jaxtyping import Float
from torch import Tensor

from seq2seq.layers.rnn import RecurrentLayer
from seq2seq.objective.base import Losses, Objective
from seq2seq.runtime.device import Runtime
from seq2seq.training.strategy import Strategy
from seq2seq.types import Batch

OF_A_RANK = 1_640_531_527  # between the seeds of two processes; torch's generator on a CPU knows their lower 32 bits
OF_A_LAYER = 1_013_904_223  # between those of what two layers drop


class ForwardBackward:
    """Adds a micro-batch's gradients to those that the parameters hold."""

    def __init__(self, strategy: Strategy, objective: Objective, runtime: Runtime) -> None:
        self.strategy = strategy
        self.objective = objective
        self.runtime = runtime

    def begin(self, seed: int) -> None:
        """An update begins: what is drawn once for all of its micro-batches, in all processes, comes from `seed`."""
        self.objective.begin(seed)
        layers = [module for module in self.strategy.module.modules() if isinstance(module, RecurrentLayer)]
        for number, layer in enumerate(layers, start=1):
            layer.drop_weights((seed + number * OF_A_LAYER) % 2**63)

    def __call__(self, batch: Batch, weight: int, tokens: int, *, last: bool) -> Losses:
        """The sums over the batch, which counts `weight` times in the update; `last`: of its micro-batches here. They
        must be read before the next call."""
        with self.strategy.micro_batch(last=last):
            with self.runtime.autocast():
                losses = self.objective(self.strategy.module, batch)
            self.strategy.backward(refusable(weight * losses.total / tokens))
        return losses


def refusable(loss: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """The loss; if it is not finite, its gradients are made NaN, so that the update is refused.

    This needs no synchronisation and no communication, because the gradients are summed over all processes.
    """
    return loss * (1 + 0 * loss.detach())


def seed_of(seed: int, update: int, rank: int) -> int:
    """Dropout is a function of (seed, update, rank): what has been drawn before need not be kept to continue."""
    return (seed * 1_000_003 + update + rank * OF_A_RANK) % 2**63
