"""Deep normalisation: the paper's numbers, and which initial weights it changes."""

from typing import Any

import pytest
import torch
from contract.combinations import VOCAB, Triple, choice

from seq2seq.layers.deep_norm import decoder_scales, encoder_scales
from seq2seq.model.builder import build_model
from seq2seq.model.model import Model
from seq2seq.types import Part


def test_scales_are_the_papers() -> None:
    """Figure 2, at depths where the powers are whole numbers or known ones."""
    assert encoder_scales(8, None) == pytest.approx((2.0, 8**-0.5))
    assert encoder_scales(16, 16) == pytest.approx((0.81 * 16 ** (5 / 16), 0.87 * 16 ** (-5 / 16)))
    assert encoder_scales(6, 12) == pytest.approx((0.81 * (6**4 * 12) ** (1 / 16), 0.87 * (6**4 * 12) ** (-1 / 16)))
    assert decoder_scales(27) == pytest.approx((3.0, 324**-0.25))


def model(triple: Triple, norm: str, **more: Any) -> Model:
    """Freshly initialised; the recurrent parts have no norm."""
    changes = {}
    for side in ("encoder", "decoder"):
        part = choice(side, getattr(triple, side))
        own = {"norm": norm, **more} if "norm" in part.arguments else {}
        changes[side] = Part(part.name, part.target, {**part.arguments, **own})
    torch.manual_seed(1)
    return build_model(triple.settings(**changes), source_vocab=VOCAB, target_vocab=VOCAB)


@pytest.mark.parametrize(
    ("triple", "others"),
    [
        (Triple("transformer", "multihead", "transformer"), 2),
        (Triple("transformer", "scaled_dot", "transformer", (), (("feed_forward", "swiglu"),)), 2),
        (Triple("transformer", "luong_dot", "lstm"), None),
        (Triple("lstm", "luong_general", "transformer"), 2),
        (Triple("transformer", "multihead", "ssru"), 2),
        (Triple("transformer", "multihead", "average", (("average_feed_forward", True),)), 2),
    ],
    ids=str,
)
def test_values_outputs_and_feed_forward_start_smaller(triple: Triple, others: int | None) -> None:
    plain, deep = model(triple, "post"), dict(model(triple, "deep").named_parameters())
    betas = {"encoder": encoder_scales(2, others).beta, "decoder": decoder_scales(2).beta}
    scaled = (
        "output_map.weight",
        "value_map.weight",
        "narrow.weight",
        "layers.0.adapt.weight",
        "layers.1.adapt.weight",
    )
    for name, weight in plain.named_parameters():
        expected = weight.detach().clone()
        beta = betas.get(name.partition(".")[0], 1.0)
        if ".layers." in name and name.endswith(scaled):
            expected *= beta
        elif name.endswith("self_attention.maps.weight"):
            expected[-expected.shape[1] :] *= beta
        elif name.endswith("feed_forward.widen.weight"):
            first = expected.shape[0] // 2 if ("feed_forward", "swiglu") in triple.others else 0  # the gate
            expected[first:] *= beta
        assert torch.equal(deep[name], expected), name


def test_alpha_multiplies_the_states_of_every_residual_connection() -> None:
    built = model(Triple("transformer", "multihead", "transformer"), "deep", layers=3)
    alphas = {"encoder": encoder_scales(3, 3).alpha, "decoder": decoder_scales(3).alpha}
    found = {name: module.alpha for name, module in built.named_modules() if hasattr(module, "alpha")}
    assert len(found) == 3 * (2 + 3)
    assert all(alpha == alphas[name.partition(".")[0]] for name, alpha in found.items())
    assert not any(name.endswith("final_norm.weight") for name, _ in built.named_parameters())
