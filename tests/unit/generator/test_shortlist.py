"""Generators with a shortlist: the whole distribution, restricted to its tokens and renormalised."""

import pytest
import torch
from contract.combinations import VOCAB, Triple
from torch import Tensor, nn
from unit.generator.mixtures import TOKENS, B, D, V, decoded_of, generator_of

from seq2seq.generator.shortlist import Shortlist
from seq2seq.generator.softmax import SoftmaxGenerator
from seq2seq.model.packing import observed_ranges, to_int8
from seq2seq.types import Decoded

NEVER = float("-inf")


def allowed() -> Tensor:
    """Different tokens, and a different number of them, for each sentence, including those of the source."""
    found = torch.rand(B, V, generator=torch.Generator().manual_seed(3)) < 0.4
    found[:, :4] = True
    found[0, 6] = False
    return found.scatter(1, TOKENS, True)


def test_ids_ascend_and_columns_map_back_to_them() -> None:
    mask = allowed()
    shortlist = Shortlist.of(mask)
    assert mask.sum(1).unique().numel() == B
    assert torch.equal(shortlist.ids, shortlist.ids.unique())
    assert shortlist.ids[:4].tolist() == [0, 1, 2, 3]
    for row in range(B):
        assert shortlist.ids[shortlist.own[row]].tolist() == mask[row].nonzero().squeeze(1).tolist()
    columns = shortlist.columns(TOKENS)
    assert torch.equal(shortlist.tokens(columns), TOKENS)
    assert shortlist.own.gather(1, columns).all()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("tied", [True, False])
@torch.no_grad()
def test_softmax_over_a_shortlist_is_the_whole_one_renormalised(tied: bool, bias: bool) -> None:
    torch.manual_seed(0)
    table = nn.Embedding(V, 4) if tied else None  # its width differs from the features'
    generator = SoftmaxGenerator(feature_dim=D, vocab_size=V, table=table, bias=bias).double()
    if generator.output.bias is not None:
        generator.output.bias.normal_()
    check(generator, generator.log_probs(decoded_of(), None), 1e-12)


@torch.no_grad()
def test_int8_models_compute_a_shortlist_in_fp32() -> None:
    model = Triple("transformer", "multihead", "transformer").model().float()
    features = torch.randn(B, 3, model.generator.output.in_features)
    decoded = Decoded(features, features, ())
    shortlist = Shortlist.of(torch.rand(B, VOCAB) < 0.5)
    plain = model.generator.log_probs_among(decoded, None, model.generator.prepare(shortlist))
    with observed_ranges(model) as ranges:
        model.generator.log_probs(decoded, None)
    to_int8(model.generator, {name.removeprefix("generator"): ends for name, ends in ranges.items()})
    assert model.generator.output.weight.dtype is torch.int8
    found = model.generator.log_probs_among(decoded, None, model.generator.prepare(shortlist))
    assert (found.dtype, found.shape) == (torch.float32, plain.shape)
    assert 0 < (found.exp() - plain.exp()).abs().max() < 0.01


@torch.no_grad()
def test_under_autocast_weights_are_bf16_and_log_probs_fp32() -> None:
    generator = SoftmaxGenerator(feature_dim=D, vocab_size=V, table=None, bias=True)
    decoded = Decoded(decoded_of().features.float(), decoded_of().inputs.float(), ())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rows = generator.prepare(Shortlist.of(allowed()))
        assert rows.product.keywords["weight"].dtype is torch.bfloat16
        assert generator.log_probs_among(decoded, None, rows).dtype is torch.float32


@pytest.mark.parametrize("mass", [1.0, 0.6])
@torch.no_grad()
def test_the_pointer_mixes_the_shortlist_with_all_copies(mass: float) -> None:
    generator, decoded, shortlist = generator_of(), decoded_of(mass), Shortlist.of(allowed())
    found = generator.log_probs_among(decoded, TOKENS, generator.prepare(shortlist)).exp()
    assert (found.sum(-1) - 1).abs().max() < 1e-12
    whole = generator.log_probs(decoded, TOKENS).exp()
    vocab = SoftmaxGenerator.log_probs(generator, decoded, TOKENS).exp()
    free = next(v for v in range(V) if v not in TOKENS)  # never copied: shows the factor of p_vocab
    for b in range(B):
        kept, own = allowed()[b], whole[b, :, [free]] / vocab[b, :, [free]]
        copies = whole[b] - own * vocab[b]
        among = vocab[b][:, kept] / vocab[b][:, kept].sum(-1, keepdim=True)
        expected = own * among + copies[:, kept]
        assert (found[b][:, shortlist.own[b]] - expected).abs().max() < 1e-12
        assert (found[b][:, ~shortlist.own[b]] == 0).all()


def check(generator: SoftmaxGenerator, plain: Tensor, tolerance: float, decoded: Decoded | None = None) -> None:
    shortlist = Shortlist.of(allowed())
    found = generator.log_probs_among(decoded or decoded_of(), None, generator.prepare(shortlist))
    assert (found.exp().sum(-1) - 1).abs().max() < 1e-6
    for b in range(B):
        expected = plain[b][:, allowed()[b]].log_softmax(-1)
        assert (found[b][:, shortlist.own[b]] - expected).abs().max() < tolerance
        assert (found[b][:, ~shortlist.own[b]] == NEVER).all()
