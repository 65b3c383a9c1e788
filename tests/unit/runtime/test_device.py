"""Which precision `auto` selects."""

import pytest
import torch

from seq2seq.runtime.device import choose_runtime


@pytest.mark.parametrize(("ampere", "precision"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_bf16_only_where_the_gpu_supports_it(
    monkeypatch: pytest.MonkeyPatch, ampere: bool, precision: str
) -> None:
    """Older GPUs can only emulate it, many times slower."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: ampere or including_emulation)
    assert choose_runtime("auto", "auto").precision == precision
    assert choose_runtime("cuda", "auto").precision == precision
    assert choose_runtime("cuda", "bf16").precision == "bf16"
