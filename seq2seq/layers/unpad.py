"""The real positions of a padded batch, and sums over them, without waiting for a GPU.

Selecting them on a GPU needs a synchronisation, and the shape differs from batch to batch. So there all positions are
kept, and padding is left out of the sums. On a CPU padding is removed first.
"""

from jaxtyping import Bool, Float, Shaped
from torch import Tensor


def selects(mask: Bool[Tensor, "B T"]) -> bool:
    """Whether padding is removed beforehand."""
    return mask.device.type == "cpu"


def unpad(rows: Shaped[Tensor, "B T ..."], mask: Bool[Tensor, "B T"]) -> Shaped[Tensor, "N ..."]:
    """One row per real position, or, on a GPU, one row per position; see `real_sum` and `real_mask`."""
    return rows[mask] if selects(mask) else rows.flatten(0, 1)


def real_mask(mask: Bool[Tensor, "B T"]) -> Bool[Tensor, " N"] | None:
    """Which rows of `unpad` are real; None: all."""
    return None if selects(mask) else mask.flatten()


def real_sum(rows: Float[Tensor, "N ..."], mask: Bool[Tensor, "B T"]) -> Float[Tensor, ""]:
    """The sum over the real rows of a function of `unpad`; the others have no gradient."""
    kept = real_mask(mask)
    if kept is None:
        return rows.sum()
    return rows.masked_fill(~kept.reshape(-1, *[1] * (rows.dim() - 1)), 0).sum()
