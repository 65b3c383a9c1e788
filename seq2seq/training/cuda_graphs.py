"""CUDA graphs: the kernels of an update are captured once and replayed, so that a GPU need not wait for Python.

There is a graph for the forward and backward pass of each shape of micro-batch, one for the optimizer's step, and one
for clearing the gradients. Step hooks are called between the last two, and are not captured. A graph reads and writes
at fixed addresses: batches are copied into tensors of its own, gradients are set to zero in place, and the learning
rate is a tensor.

Random numbers stay a function of the seed: a replay reads the default generator's seed and offset, so that
torch.manual_seed before an update does to graphs what it does to the plain operations.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import torch
from torch import Tensor

from seq2seq.config.schema import TrainSettings
from seq2seq.data.shapes import Shape, padded
from seq2seq.errors import ConfigError
from seq2seq.objective.base import Losses
from seq2seq.optimizer.step_without_dynamo import step_without_hooks, with_hooks
from seq2seq.runtime.torchrun import place
from seq2seq.training.forward_backward import ForwardBackward, refusable
from seq2seq.training.optimizer_step import OptimizerStep
from seq2seq.types import Batch

T = TypeVar("T")

WARM_UP = 3  # runs before a recording, in which libraries choose their algorithms and reserve memory


class GraphRecorder:
    """Captures the kernels that `work` launches. All graphs share one memory pool: they are replayed one after the
    other, and no output of one is read after the next has begun."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()
        self._aside = torch.cuda.Stream()

    def __call__(self, work: Callable[[], T]) -> tuple[Callable[[], None], T]:
        """The function that replays the work, and the work's result, which every replay overwrites."""
        self._aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._aside), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*capturable=True.*")  # a warm-up is no capture
            for _ in range(WARM_UP):
                work()
        torch.cuda.current_stream().wait_stream(self._aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            result = work()
        return graph.replay, result


@dataclass(frozen=True)
class Recorded:
    """A recorded pass: what it reads, how to replay it, and what it writes."""

    batch: Batch
    factor: Tensor
    replay: Callable[[], None]
    losses: Losses


class GraphedForwardBackward(ForwardBackward):
    """ForwardBackward as a graph for each of `shapes`; a batch of another shape is computed without a graph."""

    def __init__(self, passes: ForwardBackward, shapes: Sequence[Shape], recorder: Callable) -> None:
        super().__init__(passes.strategy, passes.objective, passes.runtime)
        largest_first = sorted(shapes, key=lambda shape: shape.cells, reverse=True)  # the others fit into its memory
        self._recorded = {shape: self._record(shape, recorder) for shape in largest_first}

    def __call__(self, batch: Batch, weight: int, tokens: int, *, last: bool) -> Losses:
        """Replay the pass of this shape over this batch."""
        recorded = self._recorded.get(Shape(len(batch.source), batch.source.shape[1], batch.target_in.shape[1]))
        if recorded is None:
            return super().__call__(batch, weight, tokens, last=last)
        for field in fields(Batch):
            getattr(recorded.batch, field.name).copy_(getattr(batch, field.name))
        recorded.factor.fill_(weight / tokens)
        recorded.replay()
        return recorded.losses

    def _record(self, shape: Shape, recorder: Callable) -> Recorded:
        device = self.runtime.device
        batch, factor = blank_batch(shape).to(device), torch.zeros((), dtype=torch.float64, device=device)

        def work() -> Losses:
            with self.runtime.autocast():
                losses = self.strategy.module(self.objective, batch)
            self.strategy.backward(refusable(losses.total * factor))
            terms = {name: term.detach() for name, term in losses.terms.items()}
            return Losses(losses.total.detach(), losses.nll.detach(), terms)

        replay, losses = recorder(work)
        return Recorded(batch, factor, replay, losses)


class GraphedOptimizerStep(OptimizerStep):
    """The optimizer step as a graph, clipping included; gradients are set to zero in place. torch's step hooks are
    called before and after the replay of the step."""

    def __init__(self, step: OptimizerStep, recorder: Callable) -> None:
        super().__init__(step.strategy, step.optimizer, step.clip_norm, defers=True, skips=step.skips, hooks=step.hooks)
        for group in self.optimizer.param_groups:
            group["lr"] = torch.tensor(float(group["lr"]), device=self.refuses.device)
            group["capturable"] = True
        self.holds.fill_(1)  # the steps of the warm-up make the optimizer's state, and change nothing
        self._replay, self._norm = recorder(self._clip_and_step)
        self._clear, _ = recorder(self._zero_gradients)
        self.holds.zero_()
        self.refuses.zero_()

    def __call__(self, update: int) -> Tensor:
        """Replay the end of this update."""
        with_hooks(self.optimizer, self._replay)
        norm = self._norm.clone()
        self._call_hooks(update)
        self.clear()
        return norm

    def clear(self) -> None:
        """Set the gradients to zero, in place."""
        self._clear()

    def _clip_and_step(self) -> Tensor:
        norm = self._clip()
        step_without_hooks(self.optimizer)
        return norm

    def _zero_gradients(self) -> None:
        self.optimizer.zero_grad(set_to_none=False)


def graphed(
    passes: ForwardBackward, step: OptimizerStep, shapes: Sequence[Shape], recorder: Callable | None = None
) -> tuple[ForwardBackward, OptimizerStep]:
    """Both, as CUDA graphs. Raises ConfigError where something in them cannot be captured."""
    learning = [parameter for parameter in step.strategy.model.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.grad = torch.zeros_like(parameter)
    recorder = recorder or GraphRecorder()
    passes.begin(0, 1)  # allocates what is drawn once per update, at the addresses that the graphs read
    try:
        both = GraphedForwardBackward(passes, shapes, recorder), GraphedOptimizerStep(step, recorder)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = str(error).strip().split("\n")[0]
        message = f"trainer.cuda_graphs=true: this training cannot be captured ({reason}); use false"
        raise ConfigError(message) from error
    for parameter in learning:
        assert parameter.grad is not None
        parameter.grad.zero_()
    return both


def blank_batch(shape: Shape) -> Batch:
    """A batch of blank rows alone."""
    ids, mask, numbers = torch.zeros(0, 1, dtype=torch.long), torch.zeros(0, 1, dtype=torch.bool), torch.zeros(0).long()
    return padded(Batch(ids, mask, ids, ids, mask, numbers, numbers), shape)


def graph_problems(settings: TrainSettings) -> list[str]:
    """A line for each reason why these settings cannot have trainer.cuda_graphs=true, where they ask for it."""
    if not settings.trainer.cuda_graphs:
        return []
    optimizer, objective = settings.optimizer, settings.objective
    lines = []
    if settings.device == "cpu" or not torch.cuda.is_available():
        lines.append("a GPU" + ("" if settings.device == "cpu" else ", and no CUDA device is available here"))
    if settings.precision == "fp16":
        lines.append("precision=bf16 or precision=fp32: in fp16 each update is examined for its loss scale")
    if place().size > 1:
        lines.append(f"one process, and torchrun has started {place().size}")
    if optimizer.target not in (torch.optim.Adam, torch.optim.AdamW) or not optimizer.arguments.get("fused"):
        lines.append("optimizer=adam or optimizer=adamw, with optimizer.fused=true")
    target: Any = objective.target
    if not target.recordable(**objective.arguments):
        lines.append(f"an objective that can be recorded, which objective={objective.name} cannot")
    return [f"trainer.cuda_graphs=true needs {line}" for line in lines]
