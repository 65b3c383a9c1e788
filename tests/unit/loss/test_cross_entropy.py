"""The one-pass cross-entropy equals torch's, value and gradient."""

import pytest
import torch
from torch.nn import functional as F

from seq2seq.loss import cross_entropy as module
from seq2seq.loss.cross_entropy import cross_entropy


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("chunk", [1, 40, 2**20])
def test_loss_and_gradient_equal_torchs(smoothing: float, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    logits = (5 * torch.randn(7, 13, dtype=torch.float64)).requires_grad_()
    targets = torch.randint(0, 13, (7,))
    loss, nll = cross_entropy(logits, targets, smoothing)
    (3 * loss).backward()
    gradient, logits.grad = logits.grad, None
    expected = F.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="sum")
    (3 * expected).backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-10)
    assert nll.item() == pytest.approx(F.cross_entropy(logits, targets, reduction="sum").item(), abs=1e-10)
    assert (gradient - logits.grad).abs().max() < 1e-12


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("chunk", [1, 40, 2**20])
def test_masked_rows_have_no_effect(smoothing: float, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    logits = (5 * torch.randn(7, 13, dtype=torch.float64)).requires_grad_()
    targets, mask = torch.randint(0, 13, (7,)), torch.tensor([1, 0, 1, 1, 0, 0, 1]).bool()
    found = []
    for losses in (
        cross_entropy(logits, targets, smoothing, mask),
        cross_entropy(logits[mask], targets[mask], smoothing),
    ):
        (3 * losses[0]).backward()
        found.append((torch.stack(losses).detach(), logits.grad))
        logits.grad = None
    (one, gradient), (other, expected) = found
    assert (one - other).abs().max() < 1e-12
    assert (gradient - expected).abs().max() < 1e-12
    assert not gradient[~mask].any()


def test_gradcheck() -> None:
    logits = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0, 4, 4])
    assert torch.autograd.gradcheck(lambda x: cross_entropy(x, targets, 0.1)[0], logits)


def test_bf16_logits_are_summed_in_fp32() -> None:
    logits = torch.randn(2000, 50).bfloat16()
    loss, nll = cross_entropy(logits, torch.zeros(2000, dtype=torch.long), 0.0)
    exact = F.cross_entropy(logits.double(), torch.zeros(2000, dtype=torch.long), reduction="sum")
    assert loss.dtype == nll.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)


def test_the_loss_of_no_rows_is_zero() -> None:
    loss, _ = cross_entropy(torch.zeros(0, 4, requires_grad=True), torch.zeros(0, dtype=torch.long), 0.1)
    loss.backward()
    assert loss.item() == 0


def test_large_logits_do_not_overflow() -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0]])
    loss, _ = cross_entropy(logits, torch.tensor([1]), 0.0)
    assert loss.item() == pytest.approx(2e4)
