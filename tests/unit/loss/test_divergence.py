"""Divergences and losses of given log-probabilities equal torch's own, value and gradient."""

import math

import pytest
import torch
from torch.nn import functional as F

from seq2seq.loss.divergence import jensen_shannon, kl_divergence, smoothed_nll

P = torch.randn(6, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).mul(3).log_softmax(-1)
Q = torch.randn(6, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).mul(3).log_softmax(-1)


def test_kl_divergence_is_torchs() -> None:
    expected = F.kl_div(Q, P, reduction="none", log_target=True).sum(-1)
    assert torch.allclose(kl_divergence(P, Q), expected, atol=1e-12)
    assert (kl_divergence(P, P) == 0).all()


def test_jensen_shannon_is_symmetric_and_at_most_log_2() -> None:
    mean = ((P.exp() + Q.exp()) / 2).log()
    expected = (kl_divergence(P, mean) + kl_divergence(Q, mean)) / 2
    assert torch.allclose(jensen_shannon(P, Q), expected, atol=1e-12)
    assert torch.allclose(jensen_shannon(P, Q), jensen_shannon(Q, P), atol=1e-12)
    apart = torch.tensor([[0.0, -800.0]], dtype=torch.float64), torch.tensor([[-800.0, 0.0]], dtype=torch.float64)
    assert jensen_shannon(*apart).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_smoothed_nll_is_torchs_cross_entropy(smoothing: float) -> None:
    targets = torch.tensor([0, 8, 3, 3, 1, 2])
    smoothed, nll = smoothed_nll(P, targets, smoothing)
    expected = F.cross_entropy(P, targets, label_smoothing=smoothing, reduction="none")
    assert torch.allclose(smoothed, expected, atol=1e-12)
    assert torch.allclose(nll, F.nll_loss(P, targets, reduction="none"), atol=1e-12)
