"""Muon: Jordan et al. (2024), "Muon: an optimizer for hidden layers in neural networks". The momentum of each hidden
matrix is made nearly orthogonal by five Newton-Schulz iterations; all else is left to AdamW. Learning rates as in Liu
et al. (2025), arXiv:2502.16982, section 2.2, equation 4."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from seq2seq.optimizer import light
from seq2seq.types import Component


class Muon(torch.optim.Optimizer, Component):
    """torch's Muon for groups marked `hidden`, its AdamW for the others, as one optimizer.

    A matrix's step is 0.2 sqrt(its longer side) times as large as its orthogonal direction, which gives it the size of
    an AdamW step: so both share the learning rate, its schedule and the weight decay. `momentum` and `iterations` are
    Muon's, `betas` and `eps` AdamW's.
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
        for part, hidden in ((self._muon, True), (self._adamw, False)):
            # Both work on what is held here, which `load_state_dict` replaces by objects of its own.
            part.state = self.state
            part.param_groups = [group for group in self.param_groups if group["hidden"] is hidden]
            light.step(part)


def is_hidden(model: nn.Module) -> dict[Tensor, bool]:
    """Of each parameter whether Muon is for it: matrices between two layers, not embeddings, nor output weights (what
    the model's `generator` holds, if it has one), nor a matrix of one row or column, which is a vector."""
    spared = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    generator = getattr(model, "generator", None)
    if isinstance(generator, nn.Module):
        spared |= {id(parameter) for parameter in generator.parameters()}
    return {p: p.dim() == 2 and min(p.shape) > 1 and id(p) not in spared for p in model.parameters()}
