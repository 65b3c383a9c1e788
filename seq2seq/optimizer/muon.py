"""Muon: Jordan et al. (2024), "Muon: an optimizer for hidden layers in neural networks". The momentum of each hidden
matrix is made nearly orthogonal by five Newton-Schulz iterations; all else is left to AdamW. Learning rates as in Liu
et al. (2025), arXiv:2502.16982, section 2.2, equation 4."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from seq2seq.optimizer.step_without_dynamo import step_without_hooks
from seq2seq.types import Component


class Muon(torch.optim.Optimizer, Component):
    """torch's Muon for groups marked `hidden`, its AdamW for the others, as one optimizer.

    A matrix's step is 0.2 sqrt(its longer side) times as large as its orthogonal direction, which gives it the size of
    an AdamW step: so both share the learning rate, its schedule and the weight decay. `momentum` and `iterations` are
    Muon's, `betas` and `eps` AdamW's. A hidden group's `rows` are, for each of its parameters, those
    of the matrices that it consists of, one above the other; each is made orthogonal by itself.
    """

    wired: ClassVar[frozenset[str]] = frozenset({"params"})

    def __init__(
        self,
        *,
        params: list[dict[str, Any]],
        lr: float,
        momentum: float,
        iterations: int,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        fused: bool,
    ) -> None:
        if not 0 < iterations < 100:
            raise ValueError(f"iterations must lie between 1 and 99, not {iterations}")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must lie in [0, 1), not {momentum}")
        hidden, others = ([group for group in params if bool(group.get("hidden")) is flag] for flag in (True, False))
        # An optimizer wants a group, even one without parameters.
        self._muon = torch.optim.Muon(
            hidden or [{"params": [], "hidden": True}],
            lr=lr,
            weight_decay=weight_decay,
            momentum=momentum,
            ns_steps=iterations,
            adjust_lr_fn="match_rms_adamw",
        )
        self._adamw = torch.optim.AdamW(
            others or [{"params": [], "hidden": False}],
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            fused=fused,
        )
        super().__init__([*self._muon.param_groups, *self._adamw.param_groups], {"lr": lr, "hidden": False})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step of every parameter that has a gradient."""
        assert closure is None
        # Both work on what is held here, which `load_state_dict` replaces by objects of its own.
        self._muon.state, groups = self._matrices([group for group in self.param_groups if group["hidden"]])
        self._muon.param_groups = groups
        self._adamw.state = self.state
        self._adamw.param_groups = [group for group in self.param_groups if not group["hidden"]]
        for part in (self._muon, self._adamw):
            step_without_hooks(part)

    def _matrices(self, groups: Sequence[dict[str, Any]]) -> tuple[Any, list[dict[str, Any]]]:
        """torch's state and groups of single matrices, which are views of the parameters, gradients and state here."""
        state: Any = {}
        single = [{**group, "params": []} for group in groups]
        for group, views in zip(groups, single, strict=True):
            for parameter, rows in zip(group["params"], group.get("rows", ()), strict=True):
                if parameter.grad is None:
                    continue
                held = self.state[parameter]
                if "momentum_buffer" not in held:
                    held["momentum_buffer"] = torch.zeros_like(parameter.grad, memory_format=torch.preserve_format)
                parts = (parameter.detach(), parameter.grad, held["momentum_buffer"])
                for matrix, gradient, momentum in zip(*(part.split(rows) for part in parts), strict=True):
                    matrix.grad = gradient
                    state[matrix] = {"momentum_buffer": momentum}
                    views["params"].append(matrix)
        return state, single


def is_hidden(model: nn.Module) -> dict[Tensor, bool]:
    """Of each parameter whether Muon is for it: matrices between two layers, not embeddings, nor output weights (what
    the model's `generator` holds, if it has one), nor a matrix of one row or column, which is a vector."""
    spared = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    generator = getattr(model, "generator", None)
    if isinstance(generator, nn.Module):
        spared |= {id(parameter) for parameter in generator.parameters()}
    return {p: p.dim() == 2 and min(p.shape) > 1 and id(p) not in spared for p in model.parameters()}


def stacked_rows(model: nn.Module) -> Mapping[Tensor, list[int]]:
    """The rows of each matrix in the parameters that are several matrices above each other: a module with such ones
    says so itself, by a method `stacked_rows` that gives the rows of each by the parameter's own name."""
    found: dict[Tensor, list[int]] = {}
    for module in model.modules():
        stacked = getattr(module, "stacked_rows", None)
        if callable(stacked):
            found |= {module.get_parameter(name): list(rows) for name, rows in stacked().items()}
    return found
