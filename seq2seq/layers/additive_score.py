"""The scores of additive attention: Bahdanau et al. (2015), arXiv:1409.0473, appendix A.1.2; fused on a GPU."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.runtime.triton import kernels


class ScoreVector(nn.Linear):
    """The vector v of an additive score, as a map of the hidden layer to one number: [... A] -> [... 1].

    It starts at zero (Bahdanau et al., appendix B.1), so that attention starts uniform. Started at the size of other
    matrices, every step of Adam moves all A units together, the scores soon depend on the key alone, and attention
    stays at the ends of the source. `normed`: it is g v / |v| with a learned length g, which starts at 1 / sqrt(A):
    Salimans and Kingma (2016), arXiv:1602.07868, equation 2.
    """

    def __init__(self, attn_dim: int, *, normed: bool) -> None:
        super().__init__(attn_dim, 1, bias=False)
        self.length = nn.Parameter(torch.tensor(attn_dim**-0.5)) if normed else None
        (nn.init.xavier_uniform_ if normed else nn.init.zeros_)(self.weight)

    @property
    def vector(self) -> Float[Tensor, "1 A"]:
        """v, or g v / |v|."""
        return self.weight if self.length is None else self.length * F.normalize(self.weight, dim=1)

    def forward(self, hidden: Float[Tensor, "... A"]) -> Float[Tensor, "... 1"]:
        """v . hidden."""
        return F.linear(hidden, self.vector)


def additive_score(
    query: Float[Tensor, "B T A"], keys: Float[Tensor, "B S A"], v: Float[Tensor, "1 A"]
) -> Float[Tensor, "B T S"]:
    """sum over a of v_a tanh(query_ta + keys_sa); `v` is the weight of a linear map to one number.

    On a GPU with Triton, [B T S A] is never stored, neither here nor for the gradients, which repeat bitwise. Elsewhere
    `plain_additive_score` is used, which stores it.
    """
    fused = kernels("seq2seq.layers.additive_kernels") if query.is_cuda else None
    return (plain_additive_score if fused is None else fused.fused_additive_score)(query, keys, v)


def plain_additive_score(
    query: Float[Tensor, "B T A"], keys: Float[Tensor, "B S A"], v: Float[Tensor, "1 A"]
) -> Float[Tensor, "B T S"]:
    """The equation in torch's own operations: the only place that stores [B T S A]."""
    hidden = torch.tanh(query.unsqueeze(2) + keys.unsqueeze(1))
    return F.linear(hidden, v).squeeze(-1)
