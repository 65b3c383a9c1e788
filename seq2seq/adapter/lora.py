"""LoRA, low-rank adaptation: Hu et al. (2021), arXiv:2106.09685, section 4.1, equation 3."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.adapter.base import Adapter
from seq2seq.layers.dropout import dropout
from seq2seq.layers.modules import Layers
from seq2seq.model.parameter_names import choose

FACTOR = re.compile(r"(?P<map>.+)\.lora\.(?P<part>\d+)\.a")  # the name of a map's first factor


class Lora(Adapter):
    """W x becomes W x + (alpha / rank) B A x: A and B are trained, W and everything else is not.

    B is zero at the start, so that the first outputs are those without an adapter. A linear map that computes several
    things at once (a self-attention's `maps`: queries, keys and values) has factors of its own for each of them.
    `targets` are names of linear maps, or of modules above them; * stands for any letters. A map that is tied to an
    embedding cannot be one: merged, it would change the embedding too.
    """

    def __init__(self, *, rank: int, alpha: float, dropout: float, targets: Sequence[str]) -> None:
        problems = []
        if rank < 1:
            problems.append(f"adapter.rank: expected 1 or more, got {rank}")
        if alpha <= 0:
            problems.append(f"adapter.alpha: expected more than 0, got {alpha}")
        if not 0 <= dropout < 1:
            problems.append(f"adapter.dropout: expected a share from 0 to below 1, got {dropout}")
        if not targets:
            problems.append("adapter.targets: expected names of linear maps, e.g. ['*attention*']")
        if problems:
            raise ValueError("\n".join(problems))
        self.rank = rank
        self.scale = alpha / rank
        self.dropout = dropout
        self.targets = list(targets)

    def insert(self, model: nn.Module) -> None:
        """Give each chosen map its factors, and freeze what was there. Raises ConfigError for a name that chooses
        none."""
        possible = adaptable(model)
        chosen = choose("adapter.targets", self.targets, possible, kind="linear map that can be adapted")
        model.requires_grad_(False)
        for name in sorted(chosen):
            above, _, child = name.rpartition(".")
            holder = model.get_submodule(above)
            stacked: Mapping[str, Sequence[int]] = getattr(holder, "stacked_rows", dict)()
            rows = stacked.get(f"{child}.weight", [possible[name].out_features])
            setattr(holder, child, LoraLinear(possible[name], rows, self.rank, self.scale, self.dropout))

    def merged(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """W + (alpha / rank) B A under the name of W."""
        merged = {name: tensor for name, tensor in tensors.items() if ".lora." not in name}
        changes: dict[str, list[Tensor]] = {}
        factors = filter(None, map(FACTOR.fullmatch, tensors))
        for found in sorted(factors, key=lambda found: int(found["part"])):
            above = found[0].removesuffix(".a")
            product = tensors[f"{above}.b"].double() @ tensors[f"{above}.a"].double()
            changes.setdefault(f"{found['map']}.weight", []).append(product)
        for name, parts in changes.items():
            merged[name] = (merged[name].double() + self.scale * torch.cat(parts)).to(merged[name].dtype)
        return merged


class Factors(nn.Module):
    """A [rank in] and B [out rank] of one map [out in]."""

    def __init__(self, in_features: int, out_features: int, rank: int) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.randn(rank, in_features) * in_features**-0.5)
        self.b = nn.Parameter(torch.zeros(out_features, rank))


class LoraLinear(nn.Linear):
    """A linear map with factors beside it, one pair for each part of its rows. Shapes: [... in] -> [... out]."""

    def __init__(self, linear: nn.Linear, rows: Sequence[int], rank: int, scale: float, dropout: float) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.lora = Layers(Factors(linear.in_features, count, rank) for count in rows)
        self.rank = rank
        self.scale = scale
        self.dropout = dropout

    def forward(self, inputs: Float[Tensor, "*N i"]) -> Float[Tensor, "*N o"]:
        """W x + b + scale B A dropout(x)."""
        dropped = dropout(inputs, self.dropout, self.training)
        hidden = F.linear(dropped, torch.cat([factors.a for factors in self.lora])).split(self.rank, -1)
        added = [F.linear(part, factors.b) for part, factors in zip(hidden, self.lora, strict=True)]
        return super().forward(inputs) + self.scale * torch.cat(added, -1)


def adaptable(model: nn.Module) -> dict[str, nn.Linear]:
    """The linear maps of a model that factors can be added to, by name: not those that are only a vector, whose class
    does more than a linear map, or that share their weights."""
    owners: Counter[Tensor] = Counter(
        parameter for module in model.modules() for parameter in module.parameters(recurse=False)
    )
    return {
        name: module
        for name, module in model.named_modules()
        if type(module) is nn.Linear and min(module.weight.shape) > 1 and owners[module.weight] == 1
    }
