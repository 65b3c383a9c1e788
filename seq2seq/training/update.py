"""One update: the gradients of its micro-batches, and the optimizer's step."""

import logging
from collections.abc import Callable, Sequence

import torch

from seq2seq.config.schema import TrainerSettings
from seq2seq.data.batches import share
from seq2seq.data.encoded import EncodedCorpus
from seq2seq.data.shapes import Shape, shape_of, shapes_for
from seq2seq.data.updates import PairIds
from seq2seq.errors import is_out_of_memory, pair_too_large
from seq2seq.objective.base import Objective
from seq2seq.optimizer.build import set_learning_rate
from seq2seq.runtime.device import Runtime
from seq2seq.runtime.distributed import World
from seq2seq.runtime.memory import free_caches
from seq2seq.runtime.stopwatch import Stopwatch
from seq2seq.training.cuda_graphs import graphed
from seq2seq.training.forward_backward import ForwardBackward, seed_of
from seq2seq.training.loss_scale import LossScale
from seq2seq.training.micro_batches import MicroBatches
from seq2seq.training.optimizer_step import OptimizerStep, reads_found_inf
from seq2seq.training.planned_updates import PlannedUpdate, PlannedUpdates
from seq2seq.training.step_hooks import StepHook
from seq2seq.training.strategy import Strategy
from seq2seq.training.update_metrics import Sums, UpdateFigures

Cut = tuple[PairIds, Shape | None]  # a micro-batch: its pairs, and the shape it is padded to

log = logging.getLogger(__name__)


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
        self.micro_batches = MicroBatches(runtime.device, settings.batch_tokens)
        self.objective = objective
        self._warned = False
        self.forward_backward = ForwardBackward(strategy, objective, runtime)
        # In fp16 each update is examined at once, because the loss scale may have to be lowered.
        defers = runtime.device.type == "cuda" and reads_found_inf(optimizer) and not self.loss_scale.adapts
        skips = settings.on_nonfinite == "skip"
        self.step = OptimizerStep(strategy, optimizer, settings.clip_norm, defers=defers, skips=skips, hooks=hooks)

    @property
    def defers(self) -> bool:
        """Whether steps after a gradient that is not finite are skipped on the GPU, without synchronization."""
        return self.step.defers

    @property
    def loss_scale(self) -> LossScale:
        """What losses are multiplied by, which a checkpoint stores."""
        return self.forward_backward.loss_scale

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
        sums, splits = self.gradients(number, planned, factor, busy)
        norm = self.step(number)
        stopwatch.stop()
        return UpdateFigures(number, sums, planned.tokens, norm, self.peak_lr * factor, stopwatch, splits)

    def gradients(
        self, number: int, planned: PlannedUpdate, factor: float, busy: Callable[[str], None]
    ) -> tuple[Sums, int]:
        """The part of an update before the optimizer's step: the gradients are in the parameters. Also returns how many
        micro-batches were split."""
        set_learning_rate(self.optimizer, self.peak_lr * factor)
        progress: Callable[[str], None] = lambda what: busy(f"update {number:,}, {what}")  # noqa: E731
        if self.loss_scale.adapts:
            return self._scaled_gradients(number, planned, progress)
        return self._add_gradients(number, planned, progress)

    def _scaled_gradients(self, number: int, planned: PlannedUpdate, busy: Callable[[str], None]) -> tuple[Sums, int]:
        """The gradients, computed again with half the loss scale where they are not finite.

        Where the loss is not finite, or no scale helps, the update is not finite for another reason, and the scale
        stays as it was. All processes have the same gradients, and so the same scale.
        """
        scale, before, splits = self.loss_scale, self.loss_scale.state(), 0
        while True:
            sums, found = self._add_gradients(number, planned, busy)
            splits += found
            parameters = self.step.strategy.model.parameters()
            if scale.unscale(parameter.grad for parameter in parameters if parameter.grad is not None):
                scale.fits()
                return sums, splits
            if not self.world.all_reduce_sum(sums.total.reshape(1)).isfinite() or not scale.halve():
                scale.restore(before)
                return sums, splits
            self.step.clear()

    def draw(self, number: int) -> None:
        """Let the random numbers of update `number` begin."""
        torch.manual_seed(seed_of(self.seed, number - 1, self.world.rank))
        self.forward_backward.begin(seed_of(self.seed, number - 1, rank=0), number)

    def _add_gradients(self, number: int, planned: PlannedUpdate, busy: Callable[[str], None]) -> tuple[Sums, int]:
        """Add up the gradients of this process's micro-batches; the last one also sums them over all processes. Also
        returns how many micro-batches were split.

        Where memory runs out, the update begins again with smaller ones: some gradients of the failed one may be there
        already. The other processes wait for the last one's sum, unless that has begun: then the update fails.
        """
        corpus, blocks = planned.corpus, planned.blocks
        own = share(corpus, blocks, self.world.rank, self.world.size)
        # A process without pairs takes part in the all-reduce with a pair of weight 0.
        weight, own = (1, own) if own else (0, [blocks[0][:1]])
        batches = self.micro_batches.cut(own)
        splits = 0
        while True:
            self.draw(number)
            sums, failed = self._passes(planned, batches, weight, busy)
            if failed is None:
                return sums, splits
            self.step.clear()
            free_caches(self.device)
            batches, found = self._split(corpus, batches, failed)
            splits += found

    def _passes(
        self, planned: PlannedUpdate, batches: Sequence[Cut], weight: int, busy: Callable[[str], None]
    ) -> tuple[Sums, int | None]:
        """The sums over the micro-batches, and the index of the one at which memory ran out."""
        corpus, tokens, sums = planned.corpus, planned.tokens, Sums(self.device)
        for index, (rows, shape) in enumerate(batches):
            busy(f"micro-batch {index + 1} of {len(batches)}")
            try:
                batch = self.micro_batches.batch(rows, shape)
                losses = self.forward_backward(batch, weight, tokens, last=index + 1 == len(batches))
            except (MemoryError, RuntimeError) as error:
                if self.step.strategy.reducing or not is_out_of_memory(error):
                    raise
                return sums, index
            real = int(corpus.source_lengths[rows].sum() + corpus.target_lengths[rows].sum()) + 2 * len(rows)
            sums.add(losses, weight, real=real, cells=batch.source.numel() + batch.target_in.numel())
        return sums, None

    def _split(self, corpus: EncodedCorpus, batches: Sequence[Cut], failed: int) -> tuple[list[Cut], int]:
        """The micro-batches with the failed one, and those after it that are as large, as two; and how many were split.
        Raises OutOfMemoryError where it was a single pair."""
        rows = batches[failed][0]
        size = shape_of(corpus, rows)
        if len(rows) == 1:
            raise pair_too_large("training", "training", corpus.lines(rows)[0], size.source, size.target)
        if not self._warned:
            log.warning(
                "out of memory with a micro-batch of %d pairs of %d source and %d target tokens: it was split, and the "
                "update keeps its pairs; a lower trainer.tokens_per_batch is faster (train/oom_splits counts them)",
                *size,
            )
            self._warned = True
        parts: list[Cut] = list(batches[:failed])
        splits = 0
        for cut in batches[failed:]:
            too_large = len(cut[0]) > 1 and shape_of(corpus, cut[0]).cells >= size.cells
            parts += self.micro_batches.halves(cut[0]) if too_large else [cut]
            splits += too_large
        return parts, splits
