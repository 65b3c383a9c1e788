"""Encoders against PyTorch's own layers."""

import pytest
import torch
from torch import nn

from seq2seq.encoder.rnn import RnnEncoder
from seq2seq.encoder.transformer import TransformerEncoder
from seq2seq.layers.embedding import InputEmbedding, embedding_table
from seq2seq.types import PAD

LENGTHS = torch.tensor([5, 2, 1])
SOURCE = torch.tensor([[5, 6, 7, 8, 9], [5, 4, PAD, PAD, PAD], [7, PAD, PAD, PAD, PAD]])


def embedding(width: int) -> InputEmbedding:
    table = embedding_table(11, width)
    return InputEmbedding(table=table, width=width, scale=1.0, dropout=0.0, word_dropout=0.0, position=None)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@torch.no_grad()
def test_a_bidirectional_encoder_is_torchs_over_packed_rows(cell: str) -> None:
    torch.manual_seed(0)
    encoder = RnnEncoder(
        embedding=embedding(6),
        cell=cell,
        hidden_size=4,
        layers=2,
        bidirectional=True,
        residual=False,
        dropout=0.0,
        recurrent_dropout=0.0,
    ).double()
    own = (nn.LSTM if cell == "lstm" else nn.GRU)(6, 4, 2, batch_first=True, bidirectional=True).double()
    for layer in range(2):
        for suffix, direction in (("", encoder.forwards), ("_reverse", encoder.backwards)):
            assert direction is not None
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                parameter = getattr(direction[layer].kernel, f"{name}_l0")
                getattr(own, f"{name}_l{layer}{suffix}").copy_(parameter)
    packed = nn.utils.rnn.pack_padded_sequence(encoder.embedding(SOURCE), LENGTHS, batch_first=True)
    outputs, last = own(packed)
    expected, _ = nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)
    hidden = last[0] if cell == "lstm" else last
    memory = encoder(SOURCE, SOURCE != PAD)
    assert (memory.states - expected)[SOURCE != PAD].abs().max() < 1e-12
    assert (memory.summary - torch.cat((hidden[-2], hidden[-1]), -1)).abs().max() < 1e-12
    assert torch.equal(memory.tokens, SOURCE)


@torch.no_grad()
def test_residual_layers_add_their_input() -> None:
    arguments = {"cell": "gru", "hidden_size": 4, "bidirectional": True, "dropout": 0.0, "recurrent_dropout": 0.0}
    torch.manual_seed(0)
    deep = RnnEncoder(embedding=embedding(6), layers=2, residual=True, **arguments)
    plain = RnnEncoder(embedding=embedding(6), layers=2, residual=False, **arguments)
    plain.load_state_dict(deep.state_dict())
    first = RnnEncoder(embedding=embedding(6), layers=1, residual=False, **arguments)
    first.load_state_dict({name: value for name, value in deep.state_dict().items() if "wards.1" not in name})
    mask = SOURCE != PAD
    difference = deep(SOURCE, mask).states - plain(SOURCE, mask).states
    assert torch.allclose(difference[mask], first(SOURCE, mask).states[mask], atol=1e-6)


@pytest.mark.parametrize("norm", ["pre", "post"])
@torch.no_grad()
def test_a_transformer_encoder_is_torchs(norm: str) -> None:
    torch.manual_seed(0)
    encoder = TransformerEncoder(
        embedding=embedding(8),
        hidden_size=8,
        layers=2,
        heads=2,
        inner_size=12,
        activation="relu",
        norm=norm,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
    ).double()
    layer = nn.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=True, norm_first=norm == "pre", dtype=torch.float64)
    final = nn.LayerNorm(8, dtype=torch.float64) if norm == "pre" else None
    own = nn.TransformerEncoder(layer, 2, final, enable_nested_tensor=False)
    for ours, theirs in zip(encoder.layers, own.layers, strict=True):
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
    expected = own(encoder.embedding(SOURCE), src_key_padding_mask=~mask)
    assert (memory.states - expected)[mask].abs().max() < 1e-12
    means = torch.stack([expected[row, :length].mean(0) for row, length in enumerate(LENGTHS)])
    assert (memory.summary - means).abs().max() < 1e-12
