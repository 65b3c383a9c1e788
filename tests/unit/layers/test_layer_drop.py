"""Layer drop: whole layers, at the given rate, with gradients of zero."""

import torch
from contract.combinations import Triple, some_batch

from seq2seq.layers.layer_drop import LayerDrop


def test_a_share_of_the_layers_is_left_out_and_the_draws_repeat_by_seed() -> None:
    drop, before, after = LayerDrop(0.3), torch.zeros(2, 3, 4), torch.ones(2, 3, 4)

    def draws() -> list[bool]:
        torch.manual_seed(0)
        found = [drop(before, after) for _ in range(2000)]
        assert all(one.eq(one[0, 0, 0]).all() for one in found)
        return [bool(one.eq(0).all()) for one in found]

    first = draws()
    assert 0.26 < sum(first) / len(first) < 0.34
    assert first == draws()
    assert drop.eval()(before, after) is after
    state = torch.get_rng_state()
    assert LayerDrop(0.0)(before, after) is after
    assert torch.equal(torch.get_rng_state(), state)


def test_a_model_equals_one_without_the_layers_that_were_left_out() -> None:
    """And each parameter of a layer that was left out has a gradient, of zero."""
    model, batch = (
        Triple("transformer", "multihead", "transformer", (("layer_drop", 0.5),)).model(),
        some_batch([4], [3]),
    )
    rest = Triple("transformer", "multihead", "transformer", (("layers", 1),)).model()
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        left_out = [bool(torch.rand(()) < 0.5) for _ in range(4)]  # two of the encoder, then two of the decoder
        if (sum(left_out[:2]), sum(left_out[2:])) != (1, 1) or tuple(left_out) in seen:
            continue
        seen.add(tuple(left_out))
        weights = {}
        for name, tensor in model.state_dict().items():
            side, _, inner = name.partition(".layers.")
            kept = left_out[:2].index(False) if side == "encoder" else left_out[2:].index(False)
            if not inner or inner.startswith(f"{kept}."):
                weights[name if not inner else f"{side}.layers.0{inner[1:]}"] = tensor
        rest.load_state_dict(weights)
        torch.manual_seed(seed)
        model.zero_grad()
        loss = model.train().loss(batch).loss
        loss.backward()
        assert abs(float((loss - rest.loss(batch).loss).detach())) < 1e-9
        for number, gone in enumerate(left_out):
            layer = (model.encoder, model.decoder)[number // 2].layers[number % 2]
            gradients = [parameter.grad for parameter in layer.parameters()]
            assert all(gradient is not None for gradient in gradients)
            assert all((gradient == 0).all() for gradient in gradients) is gone
    assert len(seen) > 1
