"""The pointer-generator compared with its equations in plain loops, in float64."""

import math

import pytest
import torch
from torch import Tensor, nn
from unit.generator.mixtures import MASK, TARGETS, TOKENS, B, H, S, T, V, decoded_of, generator_of

from seq2seq.generator.pointer import PointerGenerator
from seq2seq.types import Attended, Decoded


def by_hand(generator: PointerGenerator, decoded: Decoded, b: int, t: int) -> list[float]:
    """Equations 8 and 9; if the weights sum to less than 1, p_vocab gets the rest."""
    attended = decoded.attended[-1]
    assert attended.weights is not None
    read = torch.cat((attended.context[b, t], decoded.features[b, t], decoded.inputs[b, t])).tolist()
    gate = sum(w * x for w, x in zip(generator.gate.weight[0].tolist(), read, strict=True)) + float(generator.gate.bias)
    own = 1 / (1 + math.exp(-gate))
    assert generator.output.bias is not None
    logits = [float(generator.output.weight[v] @ decoded.features[b, t] + generator.output.bias[v]) for v in range(V)]
    total = sum(math.exp(logit) for logit in logits)
    weights = [sum(float(attended.weights[b, h, t, s]) for h in range(H)) / H for s in range(S)]
    own_share = own + (1 - own) * (1 - sum(weights))
    copied = [sum(weights[s] for s in range(S) if int(TOKENS[b, s]) == v) for v in range(V)]
    return [own_share * math.exp(logits[v]) / total + (1 - own) * copied[v] for v in range(V)]


@pytest.mark.parametrize("mass", [1.0, 0.6, 0.0])
@torch.no_grad()
def test_the_distribution_is_the_mixture_and_sums_to_one(mass: float) -> None:
    generator, decoded = generator_of(), decoded_of(mass)
    probabilities = generator.log_probs(decoded, TOKENS).exp()
    assert (probabilities.sum(-1) - 1).abs().max() < 1e-12
    for b in range(B):
        for t in range(T):
            assert probabilities[b, t].tolist() == pytest.approx(by_hand(generator, decoded, b, t), abs=1e-10)


@torch.no_grad()
def test_tokens_without_vocabulary_probability_can_be_copied() -> None:
    def never(output: nn.Linear) -> None:
        output.bias[[7, 8]] = -1000.0

    log_probs = generator_of(output=never).log_probs(decoded_of(), TOKENS)
    assert (log_probs[0, :, 7] > -5).all()
    assert (log_probs[:, :, 8] < -900).all()
    assert log_probs.isfinite().all()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("mass", [1.0, 0.6])
def test_the_loss_is_that_of_the_distribution(smoothing: float, mass: float) -> None:
    generator, decoded = generator_of(), decoded_of(mass)
    log_probs = generator.log_probs(decoded, TOKENS)
    picked = log_probs.gather(-1, TARGETS.unsqueeze(-1)).squeeze(-1)[MASK]
    expected = -(1 - smoothing) * picked.sum() - smoothing * log_probs[MASK].mean(-1).sum()
    loss, nll = generator.loss(decoded, TOKENS, TARGETS, MASK, smoothing)
    assert nll.item() == pytest.approx(-picked.sum().item(), abs=1e-10)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-10)
    wanted, found = (torch.autograd.grad(value, list(generator.parameters())) for value in (expected, loss))
    assert all((one - other).abs().max() < 1e-10 for one, other in zip(wanted, found, strict=True))


def test_gradients() -> None:
    generator, decoded = generator_of(), decoded_of(0.6)
    attended = decoded.attended[-1]
    assert attended.weights is not None
    parts = [part.requires_grad_() for part in (decoded.features, decoded.inputs, attended.context, attended.weights)]

    def loss(features: Tensor, inputs: Tensor, context: Tensor, weights: Tensor) -> Tensor:
        real = (TOKENS != 0)[:, None, None, :]
        seen = Decoded(features, inputs, (Attended(context, weights * real),))
        return generator.loss(seen, TOKENS, TARGETS, MASK, 0.1)[0]

    assert torch.autograd.gradcheck(loss, parts)
