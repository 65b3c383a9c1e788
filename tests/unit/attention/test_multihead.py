"""Multi-head attention compared with torch."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from unit.attention.examples import M, Q, built, memory_of, some_query

from seq2seq.attention.multihead import MultiHeadAttention
from seq2seq.attention.scaled_dot import ScaledDotAttention
from seq2seq.normalizer.softmax import Softmax
from seq2seq.normalizer.sparsemax import Sparsemax


@torch.no_grad()
def test_multi_head_attention_equals_torch() -> None:
    """nn.MultiheadAttention with our weights."""
    attention = built(MultiHeadAttention, heads=3, kv_heads=None, dropout=0.0)
    own = nn.MultiheadAttention(Q, 3, kdim=M, vdim=M, batch_first=True, dtype=torch.float64)
    own.q_proj_weight.copy_(attention.query_map.weight)
    own.k_proj_weight.copy_(attention.key_map.weight)
    own.v_proj_weight.copy_(attention.value_map.weight)
    own.in_proj_bias.copy_(torch.cat((attention.query_map.bias, torch.zeros(Q), attention.value_map.bias)))
    own.out_proj.weight.copy_(attention.output_map.weight)
    own.out_proj.bias.copy_(attention.output_map.bias)
    memory, query = memory_of(), some_query()
    expected, weights = own(
        query, memory.states, memory.states, key_padding_mask=~memory.mask, average_attn_weights=False
    )
    for need in (False, True):
        attended, _ = attention(query, attention.start(memory), need_weights=need)
        assert (attended.context - expected).abs().max() < 1e-10
        assert (attended.weights is None) is not need
    assert (attended.weights - weights).abs().max() < 1e-10


@pytest.mark.parametrize("kv_heads", [1, 2])
@torch.no_grad()
def test_grouped_query_attention_equals_torch(kv_heads: int) -> None:
    """scaled_dot_product_attention with enable_gqa, for six heads of width one."""
    attention = built(MultiHeadAttention, heads=6, kv_heads=kv_heads, dropout=0.0)
    memory, query = memory_of(), some_query()

    def heads(states: Tensor, count: int) -> Tensor:
        return states.unflatten(-1, (count, 1)).transpose(1, 2)

    context = F.scaled_dot_product_attention(
        heads(attention.query_map(query), 6),
        heads(attention.key_map(memory.states), kv_heads),
        heads(attention.value_map(memory.states), kv_heads),
        attn_mask=memory.mask[:, None, None, :],
        enable_gqa=True,
    )
    expected = attention.output_map(context.transpose(1, 2).flatten(2))
    for need in (False, True):
        attended, _ = attention(query, attention.start(memory), need_weights=need)
        assert (attended.context - expected).abs().max() < 1e-10


@torch.no_grad()
def test_one_head_equals_scaled_dot_attention() -> None:
    """With an identity as W_o, for two normalizers."""
    for normalizer in (Softmax, Sparsemax):
        many = MultiHeadAttention(
            query_dim=Q, memory_dim=M, normalizer=normalizer, heads=1, kv_heads=None, dropout=0.0
        ).double()
        one = ScaledDotAttention(query_dim=Q, memory_dim=M, normalizer=normalizer, attn_dim=Q, dropout=0.0).double()
        one.load_state_dict({name: value for name, value in many.state_dict().items() if "output_map" not in name})
        nn.init.eye_(many.output_map.weight)
        memory, query = memory_of(), some_query()
        expected, _ = one(query, one.start(memory), need_weights=True)
        for need in (False, True):
            attended, _ = many(query, many.start(memory), need_weights=need)
            assert (attended.context - expected.context).abs().max() < 1e-10
        assert (attended.weights - expected.weights).abs().max() < 1e-10
