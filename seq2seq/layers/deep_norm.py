"""Deep normalisation: Wang et al. (2022), arXiv:2203.00555, section 2 and figure 2. The old states count more in each
sum, and the matrices that make the new ones start smaller, so that the first updates of many layers stay bounded."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor


class DepthScales(NamedTuple):
    """`alpha` multiplies the states that a residual connection carries on, `beta` the initial matrices of values."""

    alpha: float
    beta: float


UNSCALED = DepthScales(1.0, 1.0)


def encoder_scales(layers: int, decoder_layers: int | None) -> DepthScales:
    """For an encoder of N `layers` before a Transformer decoder of M layers; None: before a recurrent one, and then as
    for an encoder alone."""
    if decoder_layers is None:
        return DepthScales((2 * layers) ** 0.25, (8 * layers) ** -0.25)
    depth = (layers**4 * decoder_layers) ** (1 / 16)
    return DepthScales(0.81 * depth, 0.87 / depth)


def decoder_scales(layers: int) -> DepthScales:
    """For a decoder of M `layers` of three blocks each, after any encoder."""
    return DepthScales((3 * layers) ** 0.25, (12 * layers) ** -0.25)


@torch.no_grad()
def shrink(weights: Iterable[Tensor], beta: float) -> None:
    """Multiply initial weights by `beta`: an initialisation with that gain."""
    for weight in weights:
        weight.mul_(beta)
