"""The real positions of a padded batch, and sums over them, at shapes that the host knows.

How many there are is known to the device alone: on a GPU, to select them is to wait for it, and the shape differs from
batch to batch. There all positions stay, and padding leaves the sums. On a CPU it leaves before the work is done.
"""

from jaxtyping import Bool, Float, Shaped
from torch import Tensor


def selects(mask: Bool[Tensor, "B T"]) -> bool:
    """Whether padding is taken out beforehand."""
    return mask.device.type == "cpu"


def real(rows: Shaped[Tensor, "B T ..."], mask: Bool[Tensor, "B T"]) -> Shaped[Tensor, "N ..."]:
    """One row a real position; or one a position, which `real_sum` and `real_mask` tell apart."""
    return rows[mask] if selects(mask) else rows.flatten(0, 1)


def real_mask(mask: Bool[Tensor, "B T"]) -> Bool[Tensor, " N"] | None:
    """Which rows of `real` are real; None: all."""
    return None if selects(mask) else mask.flatten()


def real_sum(rows: Float[Tensor, "N ..."], mask: Bool[Tensor, "B T"]) -> Float[Tensor, ""]:
    """The sum over the real rows of what was made of `real`; the others have no gradient."""
    kept = real_mask(mask)
    if kept is None:
        return rows.sum()
    return rows.masked_fill(~kept.reshape(-1, *[1] * (rows.dim() - 1)), 0).sum()
