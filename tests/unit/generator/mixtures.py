"""A pointer-generator with random weights, and random outputs of a decoder with two heads."""

from typing import Any

import torch

from seq2seq.generator.pointer import PointerGenerator
from seq2seq.types import Attended, Decoded

B, T, S, D, C, E, H, V = 2, 3, 5, 6, 4, 3, 2, 11
TOKENS = torch.tensor([[7, 4, 7, 9, 3], [5, 3, 0, 0, 0]])  # one token twice; padding at the end
TARGETS = torch.tensor([[7, 2, 9], [3, 0, 0]])
MASK = torch.tensor([[True, True, True], [True, False, False]])


def generator_of(**changes: Any) -> PointerGenerator:
    torch.manual_seed(0)
    generator = PointerGenerator(feature_dim=D, context_dim=C, input_dim=E, vocab_size=V, table=None, bias=True)
    generator = generator.double()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.normal_()
        for name, change in changes.items():
            change(getattr(generator, name))
    return generator


def decoded_of(mass: float = 1.0) -> Decoded:
    """Weights of two heads over the real tokens, which sum to `mass`."""
    torch.manual_seed(1)
    weights = torch.rand(B, H, T, S, dtype=torch.float64) * (TOKENS != 0)[:, None, None, :]
    weights = mass * weights / weights.sum(-1, keepdim=True)
    features, inputs, context = (torch.randn(B, T, width, dtype=torch.float64) for width in (D, E, C))
    first_layer = Attended(torch.zeros(B, T, C, dtype=torch.float64))
    return Decoded(features, inputs, (first_layer, Attended(context, weights)))
