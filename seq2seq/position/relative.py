"""Relative positions in buckets: T5, Raffel et al. (2020), arXiv:1910.10683, section 2.1."""

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seq2seq.position.base import Position


class RelativePosition(Position):
    """score(q, k) = q . k / sqrt(d) + b[h, bucket(t_k - t_q)]: a learned number for each head and bucket of distances,
    shared by all layers of an encoder or decoder.

    Half of the buckets are for earlier positions, half for later ones (the encoder's in T5); a decoder uses the first
    half. In each half the first half are one distance each; the rest grow with the logarithm up to `max_distance`, from
    where on all distances share the last. Shapes: [T], [P] -> [H T P].
    """

    bucket_of: Tensor

    def __init__(self, *, dim: int, heads: int, buckets: int, max_distance: int) -> None:
        super().__init__(dim=dim, heads=heads)
        self.table = nn.Embedding(buckets, heads)
        nn.init.normal_(self.table.weight, std=dim**-0.5)
        of_distance = [bucket(distance, buckets // 2, max_distance) for distance in range(max_distance + 1)]
        self.register_buffer("bucket_of", torch.tensor(of_distance), persistent=False)

    @classmethod
    def problem(cls, *, dim: int, heads: int, **arguments: Any) -> str | None:
        """Both directions need an equal number of buckets, for single distances and for ranges."""
        buckets, max_distance = arguments["buckets"], arguments["max_distance"]
        if buckets < 4 or buckets % 2:
            return f"position.buckets must be even and at least 4, not {buckets}"
        if max_distance <= buckets // 4:
            return f"position.max_distance must be above position.buckets / 4 = {buckets // 4}, not {max_distance}"
        return None

    def bias(self, queries: Int[Tensor, " T"], keys: Int[Tensor, " P"]) -> Float[Tensor, "H T P"]:
        """The learned bias of each pair's bucket."""
        ahead = keys - queries.unsqueeze(1)
        buckets = self.bucket_of[ahead.abs().clamp(max=len(self.bucket_of) - 1)]
        buckets = buckets + (ahead > 0) * (self.table.num_embeddings // 2)
        return self.table(buckets).movedim(-1, 0)


def bucket(distance: int, buckets: int, max_distance: int) -> int:
    """The bucket of this distance, among those of one direction."""
    exact = buckets // 2
    if distance < exact:
        return distance
    share = math.log(distance / exact) / math.log(max_distance / exact)
    # A whole number of buckets may be computed a rounding error too low.
    return min(exact + int(share * (buckets - exact) + 1e-9), buckets - 1)
