"""Encoders compared with PyTorch's layers."""

from functools import partial

import pytest
import torch
from torch import nn

from seq2seq.encoder.rnn import RnnEncoder
from seq2seq.encoder.transformer import TransformerEncoder
from seq2seq.feed_forward.plain import PlainFeedForward
from seq2seq.layer_norm.layer import LayerNorm
from seq2seq.layers.embedding import InputEmbedding, embedding_table
from seq2seq.position.alibi import AlibiPosition
from seq2seq.position.base import Position
from seq2seq.position.none import NoPosition
from seq2seq.position.relative import RelativePosition
from seq2seq.position.rotary import RotaryPosition
from seq2seq.position.sinusoidal import SinusoidalPosition
from seq2seq.self_attention.full import FullSelfAttention
from seq2seq.types import EOS, PAD

LENGTHS = torch.tensor([5, 2, 1])
SOURCE = torch.tensor([[5, 6, 7, 8, 9], [5, 4, PAD, PAD, PAD], [7, PAD, PAD, PAD, PAD]])


def embedding(width: int, position: Position | None = None) -> InputEmbedding:
    table = embedding_table(11, width)
    return InputEmbedding(table=table, width=width, scale=1.0, dropout=0.0, word_dropout=0.0, position=position)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@torch.no_grad()
def test_a_bidirectional_encoder_equals_torchs_on_packed_rows(cell: str) -> None:
    torch.manual_seed(0)
    encoder = RnnEncoder(
        embedding=embedding(6),
        cell=cell,
        hidden_size=4,
        layers=2,
        bidirectional=True,
        mask_end=False,
        residual=False,
        dropout=0.0,
        recurrent_dropout=0.0,
    ).double()
    reference = (nn.LSTM if cell == "lstm" else nn.GRU)(6, 4, 2, batch_first=True, bidirectional=True).double()
    for layer in range(2):
        for suffix, direction in (("", encoder.forwards), ("_reverse", encoder.backwards)):
            assert direction is not None
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                parameter = getattr(direction[layer].kernel, f"{name}_l0")
                getattr(reference, f"{name}_l{layer}{suffix}").copy_(parameter)
    packed = nn.utils.rnn.pack_padded_sequence(encoder.embedding(SOURCE), LENGTHS, batch_first=True)
    outputs, last = reference(packed)
    expected, _ = nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)
    hidden = last[0] if cell == "lstm" else last
    memory = encoder(SOURCE, SOURCE != PAD)
    assert (memory.states - expected)[SOURCE != PAD].abs().max() < 1e-12
    assert (memory.summary - torch.cat((hidden[-2], hidden[-1]), -1)).abs().max() < 1e-12
    assert torch.equal(memory.tokens, SOURCE)


@torch.no_grad()
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_attention_does_not_see_the_end_symbol(bidirectional: bool) -> None:
    """Unless the source has no other token; states and summary are the same."""
    arguments = {"cell": "gru", "hidden_size": 4, "layers": 1, "residual": False, "dropout": 0.0}
    arguments |= {"recurrent_dropout": 0.0, "bidirectional": bidirectional}
    plain, masked = (RnnEncoder(embedding=embedding(6), mask_end=hidden, **arguments) for hidden in (False, True))
    masked.load_state_dict(plain.state_dict())
    source = torch.tensor([[5, 6, 7, EOS], [5, EOS, PAD, PAD], [EOS, PAD, PAD, PAD]])
    mask = source != PAD
    memory, other = masked(source, mask), plain(source, mask)
    assert memory.mask.tolist() == [[True, True, True, False], [True, False, False, False], [True, False, False, False]]
    assert other.mask.equal(mask)
    assert memory.states.equal(other.states) and memory.summary.equal(other.summary)


def test_residual_layers_add_their_input() -> None:
    arguments = {
        "cell": "gru",
        "hidden_size": 4,
        "bidirectional": True,
        "mask_end": False,
        "dropout": 0.0,
        "recurrent_dropout": 0.0,
    }
    torch.manual_seed(0)
    deep = RnnEncoder(embedding=embedding(6), layers=2, residual=True, **arguments)
    plain = RnnEncoder(embedding=embedding(6), layers=2, residual=False, **arguments)
    plain.load_state_dict(deep.state_dict())
    first = RnnEncoder(embedding=embedding(6), layers=1, residual=False, **arguments)
    first.load_state_dict({name: value for name, value in deep.state_dict().items() if "wards.1" not in name})
    mask = SOURCE != PAD
    difference = deep(SOURCE, mask).states - plain(SOURCE, mask).states
    assert torch.allclose(difference[mask], first(SOURCE, mask).states[mask], atol=1e-6)


def transformer(norm: str, position: Position | None = None) -> TransformerEncoder:
    torch.manual_seed(0)
    return TransformerEncoder(
        embedding=embedding(8, position),
        self_attention=partial(FullSelfAttention, kv_heads=None),
        feed_forward=PlainFeedForward,
        layer_norm=LayerNorm,
        decoder_layers=None,
        hidden_size=8,
        layers=2,
        distinct_layers=None,
        heads=2,
        inner_size=12,
        activation="relu",
        norm=norm,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        layer_drop=0.0,
    ).double()


@pytest.mark.parametrize("norm", ["pre", "post"])
@torch.no_grad()
def test_a_transformer_encoder_equals_torchs(norm: str) -> None:
    encoder = transformer(norm)
    layer = nn.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=True, norm_first=norm == "pre", dtype=torch.float64)
    final = nn.LayerNorm(8, dtype=torch.float64) if norm == "pre" else None
    reference = nn.TransformerEncoder(layer, 2, final, enable_nested_tensor=False)
    for ours, theirs in zip(encoder.layers, reference.layers, strict=True):
        attention = ours.self_attention
        theirs.self_attn.in_proj_weight.copy_(attention.maps.weight)
        theirs.self_attn.in_proj_bias.copy_(
            torch.cat((attention.query_bias, torch.zeros_like(attention.query_bias), attention.value_bias))
        )
        theirs.self_attn.out_proj.load_state_dict(attention.output_map.state_dict())
        theirs.linear1.load_state_dict(ours.feed_forward.widen.state_dict())
        theirs.linear2.load_state_dict(ours.feed_forward.narrow.state_dict())
    mask = SOURCE != PAD
    memory = encoder(SOURCE, mask)
    expected = reference(encoder.embedding(SOURCE), src_key_padding_mask=~mask)
    assert (memory.states - expected)[mask].abs().max() < 1e-12
    means = torch.stack([expected[row, :length].mean(0) for row, length in enumerate(LENGTHS)])
    assert (memory.summary - means).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("kind", "arguments", "order_ignored"),
    [
        (NoPosition, {"recurrent": False}, True),
        (SinusoidalPosition, {"recurrent": False}, False),
        (RotaryPosition, {}, False),
        (AlibiPosition, {}, False),
        (RelativePosition, {"buckets": 8, "max_distance": 20}, False),
    ],
)
@torch.no_grad()
def test_only_positions_make_a_transformer_encoder_depend_on_order(
    kind: type[Position], arguments: dict[str, int], order_ignored: bool
) -> None:
    encoder = transformer("pre", kind(dim=8, heads=2, **arguments))
    order = torch.tensor([1, 0, 2, 4, 3])
    first, second = (encoder(ids, ids != PAD).states for ids in (SOURCE[:1], SOURCE[:1, order]))
    assert torch.allclose(first[:, order], second, atol=1e-9) is order_ignored
