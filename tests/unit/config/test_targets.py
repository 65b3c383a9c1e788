"""Which classes a configuration may name."""

import sys

import pytest
import torch
from sample_parts import Recurrent

from seq2seq.config.targets import Targets, signature_of

SAMPLES = Targets(packages=("sample_parts",), kinds={})


def test_components_and_listed_optimizers_are_found() -> None:
    assert SAMPLES.resolve("sample_parts.Recurrent") is Recurrent
    assert Targets().resolve("torch.optim.AdamW") is torch.optim.AdamW


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("os.system", "'os.system' is not allowed."),
        ("sample_parts_evil.Small", "'sample_parts_evil.Small' is not allowed"),
        ("sample_parts", "'sample_parts' is not allowed"),
        ("torch.optim.AdmW", "did you mean torch.optim.AdamW?"),
        ("torch.load", "'torch.load' is not allowed"),
        ("sample_parts.Recurent", "module sample_parts has no class Recurent; did you mean Recurrent?"),
        ("sample_parts.nowhere.Small", "there is no module sample_parts.nowhere"),
        ("sample_parts.Alien", "sample_parts.Alien is not a component"),
        ("sample_parts.Callable", "sample_parts.Callable is not a component"),
        (7, "expected the dotted name of a class, got 7"),
    ],
)
def test_anything_else_is_refused_with_the_reason(name: object, message: str) -> None:
    with pytest.raises(ValueError, match="") as caught:
        SAMPLES.resolve(name)
    assert message in str(caught.value)


def test_a_module_that_needs_a_missing_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "seq2seq.layers.norm_kernels", raising=False)
    with pytest.raises(ValueError, match=r"norm_kernels cannot be used here: .*triton"):
        Targets().resolve("seq2seq.layers.norm_kernels.Anything")


def test_a_refused_module_is_not_imported() -> None:
    assert "antigravity" not in sys.modules
    with pytest.raises(ValueError, match="not allowed"):
        SAMPLES.resolve("antigravity.fly")
    assert "antigravity" not in sys.modules


def test_values_from_the_builder_are_not_arguments() -> None:
    signature = signature_of(Recurrent)
    assert signature.wired == {"input_dim"}
    assert signature.annotations.keys() == signature.required == {"hidden_size", "layers", "mode", "bias"}


def test_optimizer_gets_its_parameters_and_keeps_its_defaults() -> None:
    signature = signature_of(torch.optim.AdamW)
    assert "params" not in signature.annotations
    assert {"lr", "betas", "weight_decay", "fused"} <= signature.annotations.keys()
    assert signature.required == frozenset()
