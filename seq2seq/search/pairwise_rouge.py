"""ROUGE-1 and ROUGE-L between all pairs of texts: Lin (2004), W04-1013, sections 2 and 3.1."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from seq2seq.types import PAD

NOTHING = -1  # padding of one side; it differs from PAD, the padding of the other side
Rows = Sequence[Sequence[int]]  # ids above PAD


def pairwise_rouge(left: Rows, right: Rows, types: Sequence[str] = ("rougeL",)) -> Float[Tensor, "C N"]:
    """F1 of each on the left with each on the right, the mean over `types`, rouge1 and rougeL; 1 for two empty
    texts."""
    lengths = [torch.tensor([len(row) for row in rows]) for rows in (left, right)]
    both = lengths[0].unsqueeze(1) + lengths[1]
    found = torch.stack([_IN_COMMON[one](_padded(left, PAD), _padded(right, NOTHING)) for one in types])
    return torch.where(both > 0, 2.0 * found.float().mean(0) / both, 1.0)


def longest_common(left: Int[Tensor, "C T"], right: Int[Tensor, "N U"]) -> Int[Tensor, "C N"]:
    """The length of the longest common subsequence of each row on the left with each on the right.

    The usual recurrence over prefixes i, j, max(L[i-1, j], L[i, j-1], L[i-1, j-1] + same), with the middle term as a
    running maximum, so that a whole row is computed for all pairs.
    """
    lengths = left.new_zeros(len(left), len(right), right.shape[1] + 1)
    for tokens in left.unbind(1):
        longer = lengths[..., :-1] + (tokens[:, None, None] == right)
        lengths[..., 1:] = torch.maximum(lengths[..., 1:], longer).cummax(-1).values
    return lengths[..., -1]


def shared(left: Int[Tensor, "C T"], right: Int[Tensor, "N U"]) -> Int[Tensor, "C N"]:
    """How many ids each row on the left shares with each on the right, with repetitions."""
    kinds, places = torch.cat((left.flatten(), right.flatten())).unique(return_inverse=True)
    real = (kinds != PAD) & (kinds != NOTHING)
    ours, theirs = places[: left.numel()].view(left.shape), places[left.numel() :].view(right.shape)
    counts = [_counts(rows, len(kinds))[:, real] for rows in (ours, theirs)]
    return torch.stack([counts[1].minimum(row).sum(1) for row in counts[0]])


def _counts(rows: Int[Tensor, "N T"], kinds: int) -> Int[Tensor, "N {kinds}"]:
    return rows.new_zeros(len(rows), kinds).scatter_add_(1, rows, torch.ones_like(rows))


def _padded(rows: Rows, padding: int) -> Int[Tensor, "N T"]:
    return pad_sequence([torch.tensor(row, dtype=torch.long) for row in rows], True, padding)


_IN_COMMON = {"rouge1": shared, "rougeL": longest_common}
