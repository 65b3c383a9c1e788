"""What Transformer encoders and decoders have in common: the arguments of their layers, and what is made of them."""

from collections.abc import Callable
from typing import Any, Literal, TypedDict

from torch import nn

from seq2seq.layers.residual import NormPlace, Residual

Activation = Literal["relu", "gelu", "silu"]
LAYER_PARTS = frozenset({"feed_forward", "layer_norm"})  # the arguments that the builder supplies


class LayerArguments(TypedDict):
    """`feed_forward` makes one per layer, `layer_norm` the normalisations. `norm: post` is Vaswani et al.'s. `layers`
    layers run, with `distinct_layers` sets of weights (None: each has its own)."""

    feed_forward: Callable[..., Any]
    layer_norm: Callable[..., nn.Module]
    hidden_size: int
    layers: int
    distinct_layers: int | None
    inner_size: int
    activation: Activation
    norm: NormPlace
    dropout: float
    activation_dropout: float
    layer_drop: float


def network(arguments: LayerArguments) -> Any:
    """A feed-forward network."""
    return arguments["feed_forward"](
        dim=arguments["hidden_size"],
        inner_dim=arguments["inner_size"],
        activation=arguments["activation"],
        dropout=arguments["activation_dropout"],
    )


def residual(arguments: LayerArguments, alpha: float) -> Residual:
    """The residual connection of a block."""
    return Residual(
        dim=arguments["hidden_size"],
        norm=arguments["norm"],
        alpha=alpha,
        dropout=arguments["dropout"],
        layer_norm=arguments["layer_norm"],
    )


def final_norm(arguments: LayerArguments) -> nn.Module:
    """What follows the last layer: a normalisation with `norm: pre`, else nothing."""
    if arguments["norm"] != "pre":
        return nn.Identity()
    return arguments["layer_norm"](dim=arguments["hidden_size"], for_products=True)
