"""Sums over real positions, selected or masked: the same values and gradients, nothing from padding."""

import pytest
import torch

from seq2seq.layers import unpad as module
from seq2seq.layers.unpad import real_mask, real_sum, unpad

MASK = torch.tensor([[True, True, False], [True, False, False]])


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4)])
@pytest.mark.parametrize("selects", [True, False])
def test_sums_over_real_positions(shape: tuple[int, ...], selects: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "selects", lambda mask: selects)
    values = torch.randn(shape, dtype=torch.float64)
    values[~MASK] = float("nan")
    values.requires_grad_()
    total = real_sum(unpad(values, MASK), MASK)
    total.backward()
    assert total.item() == pytest.approx(values.detach()[MASK].sum().item(), abs=1e-12)
    assert torch.equal(values.grad, MASK.reshape(2, 3, *[1] * (len(shape) - 2)).expand(shape).double())


def test_on_a_cpu_padding_is_left_out() -> None:
    assert unpad(torch.arange(6).reshape(2, 3), MASK).tolist() == [0, 1, 3]
    assert real_mask(MASK) is None
