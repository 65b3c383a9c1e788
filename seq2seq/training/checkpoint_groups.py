"""The groups of tensors in a run's checkpoints: the model, the optimizer's state, and those of step hooks."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seq2seq.checkpoint.folder import AVERAGED, MODEL, OPTIMIZER
from seq2seq.checkpoint.read import Checkpoint
from seq2seq.checkpoint.weights import load_into, load_model, model_tensors
from seq2seq.optimizer.state import optimizer_tensors, restore_optimizer
from seq2seq.training.moving_average import MovingAverage
from seq2seq.training.step_hooks import StepHook
from seq2seq.training.strategy import Strategy


@dataclass(frozen=True)
class CheckpointGroups:
    """The model, the optimizer's state and the tensors of each step hook: full in checkpoints, and sharded here if the
    strategy shards them. Raises ValueError where two have one name, or a hook's name is no identifier or reserved."""

    strategy: Strategy
    optimizer: torch.optim.Optimizer
    hooks: Sequence[StepHook]

    def __post_init__(self) -> None:
        taken = {MODEL, OPTIMIZER}
        for hook in self.hooks:
            used = taken if isinstance(hook, MovingAverage) else taken | {AVERAGED}
            if not hook.name.isidentifier() or hook.name in used:
                raise ValueError(f"a step hook's name is {hook.name!r}: expected an identifier not in {sorted(used)}")
            taken.add(hook.name)

    def gather(self) -> dict[str, dict[str, Tensor]]:
        """The tensors of each group. All processes call it."""
        model = self.strategy.model
        groups = {MODEL: model_tensors(model), OPTIMIZER: optimizer_tensors(self.optimizer, model)}
        groups |= {hook.name: dict(hook.tensors()) for hook in self.hooks if hook.tensors()}
        return {name: self.strategy.gather(tensors) for name, tensors in groups.items()}

    @contextmanager
    def in_validation(self, model: nn.Module) -> Iterator[None]:
        """The context of a validation, as the hooks have it."""
        with ExitStack() as stack:
            for hook in self.hooks:
                stack.enter_context(hook.in_validation(model))
            yield

    def restore(self, checkpoint: Checkpoint) -> None:
        """Load all groups, bit for bit. Raises CheckpointError where they are of another model, optimizer or step
        hook."""
        model, shard = self.strategy.model, self.strategy.shard
        load_model(model, shard(checkpoint.model, model_tensors(model)))
        moments, parameters = checkpoint.group(OPTIMIZER), dict(model.named_parameters())
        owners = {key: key.partition("/")[2] for key in moments}
        like = {key: parameters[name] for key, name in owners.items() if name in parameters}
        restore_optimizer(self.optimizer, model, shard(moments, like))
        for hook in self.hooks:
            if own := hook.tensors():
                load_into(own, shard(checkpoint.group(hook.name), own))
