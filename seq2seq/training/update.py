"""One update: the gradients of its micro-batches, and the optimizer's step."""

from collections.abc import Callable, Sequence

import torch

from seq2seq.config.schema import TrainerSettings
from seq2seq.data.batches import share
from seq2seq.data.shapes import shapes_for
from seq2seq.objective.base import Objective
from seq2seq.optimizer.build import set_learning_rate
from seq2seq.runtime.device import Runtime
from seq2seq.runtime.distributed import World
from seq2seq.runtime.stopwatch import Stopwatch
from seq2seq.training.cuda_graphs import graphed
from seq2seq.training.forward_backward import ForwardBackward, seed_of
from seq2seq.training.micro_batches import MicroBatches
from seq2seq.training.optimizer_step import OptimizerStep, reads_found_inf
from seq2seq.training.planned_updates import PlannedUpdate, PlannedUpdates
from seq2seq.training.step_hooks import StepHook
from seq2seq.training.strategy import Strategy
from seq2seq.training.update_metrics import Sums, UpdateFigures


class Updater:
    """Computes this process's share of each update, and steps the optimizer."""

    def __init__(
        self,
        *,
        settings: TrainerSettings,
        seed: int,
        strategy: Strategy,
        objective: Objective,
        optimizer: torch.optim.Optimizer,
        hooks: Sequence[StepHook],
        runtime: Runtime,
        world: World,
    ) -> None:
        self.seed = seed
        self.optimizer = optimizer
        self.device = runtime.device
        self.world = world
        self.peak_lr = float(optimizer.param_groups[0]["lr"])
        self.micro_batches = MicroBatches(runtime.device, settings.tokens_per_batch)
        self.objective = objective
        self.forward_backward = ForwardBackward(strategy, objective, runtime)
        defers = runtime.device.type == "cuda" and reads_found_inf(optimizer)
        skips = settings.on_nonfinite == "skip"
        self.step = OptimizerStep(strategy, optimizer, settings.clip_norm, defers=defers, skips=skips, hooks=hooks)

    @property
    def defers(self) -> bool:
        """Whether steps after a gradient that is not finite are skipped on the GPU, without synchronization."""
        return self.step.defers

    def record(self, updates: PlannedUpdates) -> None:
        """Capture CUDA graphs, for shapes that suit these updates, and replay them from now on."""
        self.micro_batches.shapes = shapes_for(updates.measured(), self.micro_batches.tokens_per_batch)
        self.forward_backward, self.step = graphed(self.forward_backward, self.step, self.micro_batches.shapes)

    def __call__(
        self, number: int, planned: PlannedUpdate, factor: float, busy: Callable[[str], None]
    ) -> UpdateFigures:
        """Update `number`, counted from 1, at the peak learning rate times `factor`; its progress is passed to `busy`.

        The loss is the sum over all pairs of the update, divided once by all its tokens.
        """
        stopwatch = Stopwatch(self.device)
        sums = self.gradients(number, planned, factor, busy)
        norm = self.step(number)
        stopwatch.stop()
        return UpdateFigures(number, sums, planned.tokens, norm, self.peak_lr * factor, stopwatch)

    def gradients(self, number: int, planned: PlannedUpdate, factor: float, busy: Callable[[str], None]) -> Sums:
        """The part of an update before the optimizer's step; the gradients are in the parameters."""
        set_learning_rate(self.optimizer, self.peak_lr * factor)
        self.draw(number)
        return self._add_gradients(planned, planned.tokens, lambda what: busy(f"update {number:,}, {what}"))

    def draw(self, number: int) -> None:
        """Let the random numbers of update `number` begin."""
        torch.manual_seed(seed_of(self.seed, number - 1, self.world.rank))
        self.forward_backward.begin(seed_of(self.seed, number - 1, rank=0), number)

    def _add_gradients(self, planned: PlannedUpdate, tokens: int, busy: Callable[[str], None]) -> Sums:
        """Add up the gradients of this process's micro-batches; the last one also sums them over all processes."""
        corpus, blocks = planned.corpus, planned.blocks
        own = share(corpus, blocks, self.world.rank, self.world.size)
        # A process without pairs takes part in the all-reduce with a pair of weight 0.
        weight, own = (1, own) if own else (0, [blocks[0][:1]])
        batches = self.micro_batches.cut(own)
        sums = Sums(self.device)
        for number, (rows, shape) in enumerate(batches, start=1):
            busy(f"micro-batch {number} of {len(batches)}")
            batch = self.micro_batches.batch(rows, shape)
            losses = self.forward_backward(batch, weight, tokens, last=number == len(batches))
            real = int(corpus.source_lengths[rows].sum() + corpus.target_lengths[rows].sum()) + 2 * len(rows)
            sums.add(losses, weight, real=real, cells=batch.source.numel() + batch.target_in.numel())
        return sums
