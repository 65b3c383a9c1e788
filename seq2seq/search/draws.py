"""Random numbers that depend only on their purpose, not on batch, order or process.

Each sample of each sentence has a stream of its own, SplitMix64 (Steele, Lea and Flood 2014, figure 15), and its
numbers are computed from their positions in it: a few integer operations for all rows at once, on any device.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

GOLDEN = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio, odd: the distance between two states of a stream
MIXERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
FIRST_BITS = 53  # the bits of a float64's mantissa


def streams(seed: int, sentences: Int[Tensor, " B"], samples: int) -> Int[Tensor, "B {samples}"]:
    """The start of each sample's stream: a function of (seed, sentence's number, sample)."""
    of_seed = _mixed(torch.tensor(_signed(seed + GOLDEN), device=sentences.device))
    of_sentence = _mixed(of_seed + sentences * _signed(GOLDEN))
    return _mixed(of_sentence.unsqueeze(1) + torch.arange(samples, device=sentences.device) * _signed(GOLDEN))


def uniforms(streams: Int[Tensor, "*N"], step: int) -> Float[Tensor, "*N"]:
    """The number at this position of each stream, uniform in (0, 1)."""
    words = _mixed(streams + _signed((step + 1) * GOLDEN))
    return (_shifted(words, 64 - FIRST_BITS).double() + 0.5) * 2.0**-FIRST_BITS


def _mixed(words: Int[Tensor, "*N"]) -> Int[Tensor, "*N"]:
    """SplitMix64's finalizer: every bit of the result depends on every bit given."""
    for shift, factor in MIXERS:
        words = (words ^ _shifted(words, shift)) * _signed(factor)
    return words ^ _shifted(words, 31)


def _shifted(words: Int[Tensor, "*N"], places: int) -> Int[Tensor, "*N"]:
    """A logical shift to the right: torch's own repeats the sign."""
    return (words >> places) & ((1 << (64 - places)) - 1)


def _signed(word: int) -> int:
    """The number that int64 calls these 64 bits."""
    return (word + 2**63) % 2**64 - 2**63
