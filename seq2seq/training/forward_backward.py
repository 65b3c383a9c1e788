"""A micro-batch's forward and backward pass, and its random seeds."""

from jaxtyping import Float
from torch import Tensor

from seq2seq.layers.rnn import RecurrentLayer
from seq2seq.objective.base import Losses, Objective
from seq2seq.runtime.device import Runtime
from seq2seq.training.loss_scale import LossScale
from seq2seq.training.strategy import Strategy
from seq2seq.types import Batch

# Differences between the seeds of two ranks, and of the dropped weights of two layers. torch's CPU generator only uses
# the lower 32 bits of a seed.
RANK_STEP = 1_640_531_527
LAYER_STEP = 1_013_904_223


class ForwardBackward:
    """Adds a micro-batch's gradients to those that the parameters hold, multiplied by `loss_scale`."""

    def __init__(self, strategy: Strategy, objective: Objective, runtime: Runtime) -> None:
        self.strategy = strategy
        self.objective = objective
        self.runtime = runtime
        self.loss_scale = LossScale(runtime.dtype)

    def begin(self, seed: int, update: int) -> None:
        """Called before each update, counted from 1: draw, from `seed`, what is the same for all its micro-batches and
        processes."""
        self.objective.begin(seed, update)
        layers = [module for module in self.strategy.module.modules() if isinstance(module, RecurrentLayer)]
        for number, layer in enumerate(layers, start=1):
            layer.drop_weights((seed + number * LAYER_STEP) % 2**63)

    def __call__(self, batch: Batch, weight: int, tokens: int, *, last: bool) -> Losses:
        """The sums of losses over the batch, which counts `weight` times in the update; they must be read before the
        next call. `last`: it is this process's last micro-batch of the update."""
        with self.strategy.micro_batch(last=last):
            with self.runtime.autocast():
                losses = self.strategy.module(self.objective, batch)
            self.strategy.backward(self.loss_scale.value * refusable(weight * losses.total / tokens))
        return losses


def refusable(loss: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """The loss; if it is not finite, its gradients are made NaN, so that the update is refused.

    This needs no synchronisation and no communication, because the gradients are summed over all processes.
    """
    return loss * (1 + 0 * loss.detach())


def seed_of(seed: int, update: int, rank: int) -> int:
    """The seed of an update on one rank: dropout is a function of (seed, update, rank), so that no generator state has
    to be stored to continue."""
    return (seed * 1_000_003 + update + rank * RANK_STEP) % 2**63
