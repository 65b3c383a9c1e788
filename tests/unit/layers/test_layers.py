"""Layers: fused roads equal plain ones, padding stays out."""

import math

import pytest
import torch
from torch.nn import functional as F

from seq2seq.layers.dropout import dropout
from seq2seq.layers.embedding import InputEmbedding, embedding_table
from seq2seq.layers.feed_forward import ACTIVATIONS, FeedForward
from seq2seq.layers.residual import Residual
from seq2seq.layers.rnn import RecurrentLayer, RecurrentStack, reorder, reversal
from seq2seq.layers.scaled_dot import scaled_dot_product
from seq2seq.layers.self_attention import Ancestry, SelfAttention, causal_mask
from seq2seq.position.learned import LearnedPosition
from seq2seq.position.none import NoPosition
from seq2seq.position.sinusoidal import SinusoidalPosition
from seq2seq.types import EOS, UNK

BOTH = pytest.mark.parametrize("cell", ["lstm", "gru"])


def test_scaled_dot_product_equals_the_equation_written_out() -> None:
    query, keys, values = (torch.randn(2, 3, length, 4, dtype=torch.float64) for length in (5, 6, 6))
    mask = torch.rand(2, 1, 5, 6) < 0.6
    mask[..., 0] = True
    expected = torch.zeros(2, 3, 5, 4, dtype=torch.float64)
    for b in range(2):
        for h in range(3):
            for t in range(5):
                seen = [s for s in range(6) if mask[b, 0, t, s]]
                exponentials = [math.exp(float(query[b, h, t] @ keys[b, h, s]) / 2) for s in seen]
                for s, e in zip(seen, exponentials, strict=True):
                    expected[b, h, t] += e / sum(exponentials) * values[b, h, s]
    fused, nothing = scaled_dot_product(query, keys, values, mask)
    plain, weights = scaled_dot_product(query, keys, values, mask, need_weights=True)
    assert nothing is None
    assert weights is not None
    assert (fused - expected).abs().max() < 1e-12
    assert (plain - expected).abs().max() < 1e-12
    assert (weights.sum(-1) - 1).abs().max() < 1e-12


def test_dropout_keeps_the_mean_and_repeats_by_seed() -> None:
    states = torch.ones(1001, 103)
    torch.manual_seed(3)
    first = dropout(states, 0.3, training=True)
    torch.manual_seed(3)
    assert torch.equal(first, dropout(states, 0.3, training=True))
    assert not torch.equal(first, dropout(states, 0.3, training=True))
    assert first.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert float(first.eq(0).double().mean()) == pytest.approx(0.3, abs=0.01)
    for column in range(4):  # four numbers come from one word: none may be favoured
        assert float(first.flatten()[column::4].eq(0).double().mean()) == pytest.approx(0.3, abs=0.02)
    assert dropout(states, 0.3, training=False) is states
    assert dropout(states, 0.0, training=True) is states


def test_dropout_gradients_go_where_the_numbers_went() -> None:
    states = torch.ones(500, requires_grad=True)
    kept = dropout(states, 0.5, training=True)
    kept.sum().backward()
    assert torch.equal(states.grad, kept.detach())


@BOTH
@pytest.mark.parametrize("weight_dropout", [0.0, 0.4])
def test_a_layer_step_by_step_equals_its_kernel(cell: str, weight_dropout: float) -> None:
    layer = RecurrentLayer(cell=cell, input_dim=5, hidden_size=4, weight_dropout=weight_dropout).double()
    inputs = torch.randn(3, 6, 5, dtype=torch.float64)
    state = tuple(torch.randn(3, 4, dtype=torch.float64) for _ in layer.zero_state(3))
    torch.manual_seed(0)
    expected = layer(inputs, state)
    torch.manual_seed(0)
    weights = layer.loop_weights(3)  # two of the five columns come at each step, three beforehand
    gates = layer.project(inputs[..., :3])
    for t in range(6):
        state = layer.step(gates[:, t], inputs[:, t, 3:], state, weights)
        assert (state[0] - expected[:, t]).abs().max() < 1e-12


@BOTH
@pytest.mark.parametrize("residual", [False, True])
def test_a_stack_step_by_step_equals_all_at_once(cell: str, residual: bool) -> None:
    stack = RecurrentStack(
        cell=cell, input_dim=4, hidden_size=4, layers=3, dropout=0.0, weight_dropout=0.0, residual=residual
    ).double()
    inputs = torch.randn(2, 5, 4, dtype=torch.float64)
    state = tuple(layer.zero_state(2) for layer in stack.layers)
    expected = stack(inputs, state)
    weights, gates = stack.loop_weights(4), stack.layers[0].project(inputs)
    for t in range(5):
        output, state = stack.step(gates[:, t], None, state, weights)
        assert (output - expected[:, t]).abs().max() < 1e-12


def test_lstm_follows_its_equations() -> None:
    layer = RecurrentLayer(cell="lstm", input_dim=3, hidden_size=2, weight_dropout=0.0).double()
    kernel = layer.kernel
    x, h, c = (torch.randn(1, size, dtype=torch.float64) for size in (3, 2, 2))
    gates = x @ kernel.weight_ih_l0.T + kernel.bias_ih_l0 + h @ kernel.weight_hh_l0.T + kernel.bias_hh_l0
    i, f, g, o = gates.split(2, -1)
    cell = f.sigmoid() * c + i.sigmoid() * g.tanh()
    gates = layer.project(x.unsqueeze(0)).squeeze(0)
    hidden, new_cell = layer.step(gates, None, (h, c), layer.loop_weights(3))
    assert (new_cell - cell).abs().max() < 1e-12
    assert (hidden - o.sigmoid() * cell.tanh()).abs().max() < 1e-12


def test_forget_gates_begin_open() -> None:
    layer = RecurrentLayer(cell="lstm", input_dim=3, hidden_size=2, weight_dropout=0.0)
    assert layer.bias().tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("lengths", "expected"), [([3, 1], [[2, 1, 0, 3], [0, 1, 2, 3]]), ([4, 2], [[3, 2, 1, 0], [1, 0, 2, 3]])]
)
def test_reversal_leaves_padding_in_place(lengths: list[int], expected: list[list[int]]) -> None:
    index = reversal(torch.tensor(lengths), 4)
    assert index.tolist() == expected
    states = torch.randn(2, 4, 3)
    assert torch.equal(reorder(reorder(states, index), index), states)


@torch.no_grad()
def test_a_beam_reads_its_own_past_through_shared_slots() -> None:
    """Two hypotheses branch, one overtakes the other: each must see just what it would have seen alone."""
    attention = SelfAttention(dim=6, heads=2, dropout=0.0).double()
    tokens = torch.randn(4, 2, 6, dtype=torch.float64)  # step, hypothesis, width
    parents = [[0, 0], [1, 0], [1, 1]]  # of the hypotheses at steps 1, 2 and 3
    cache, ancestry = attention.empty_cache(1), Ancestry.empty(1, torch.device("cpu"))
    past: list[list[torch.Tensor]] = [[]]
    for step in range(4):
        if step:
            ancestry = ancestry.advance(torch.tensor([parents[step - 1]]))
            past = [list(past[parent]) for parent in parents[step - 1]]
        states = tokens[step, : len(past)].unsqueeze(0)
        ancestry = ancestry.extend()
        outputs, cache = attention.step(states, cache, ancestry.mask())
        for beam, history in enumerate(past):
            history.append(states[0, beam])
            alone = attention(torch.stack(history).unsqueeze(0), causal_mask(step + 1, states.device))
            assert (outputs[0, beam] - alone[0, -1]).abs().max() < 1e-12


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_residual_connections(norm: str) -> None:
    residual, states = Residual(dim=4, norm=norm, dropout=0.0), torch.randn(1, 2, 4)
    block = torch.nn.Linear(4, 4)
    normalised = F.layer_norm(states, (4,)) if norm == "pre" else states
    expected = states + block(normalised)
    assert torch.allclose(residual(states, block), expected if norm == "pre" else F.layer_norm(expected, (4,)))


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_feed_forward_is_two_maps_around_an_activation(activation: str) -> None:
    network, states = FeedForward(dim=3, inner_dim=5, activation=activation, dropout=0.0), torch.randn(1, 2, 3)
    function = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu}[activation]
    assert torch.allclose(network(states), network.narrow(function(network.widen(states))))


def test_sinusoidal_positions_are_the_papers() -> None:
    vectors = SinusoidalPosition(dim=5, recurrent=False).embed(torch.tensor([0, 7]))
    for row, t in enumerate((0, 7)):
        for i in range(5):
            angle = t / 10_000 ** (2 * (i // 2) / 5)
            assert float(vectors[row, i]) == pytest.approx(math.cos(angle) if i % 2 else math.sin(angle), abs=1e-12)


def test_learned_positions_share_the_last_vector() -> None:
    position = LearnedPosition(dim=3, max_length=4, recurrent=False)
    vectors = position.embed(torch.tensor([2, 3, 9]))
    assert torch.equal(vectors[1], vectors[2])
    assert not torch.equal(vectors[0], vectors[1])


def embedding(**changes: object) -> InputEmbedding:
    settings = {"width": 6, "scale": 2.0, "dropout": 0.0, "word_dropout": 0.0, "position": None} | changes
    torch.manual_seed(0)
    return InputEmbedding(table=embedding_table(9, 6), **settings)


def test_embeddings_are_scaled_before_positions_are_added() -> None:
    position = SinusoidalPosition(dim=6, recurrent=False)
    layer, tokens = embedding(position=position), torch.tensor([[5, 4]])
    expected = 2 * layer.table(tokens) + position.embed(torch.tensor([0, 1])).float()
    assert torch.allclose(layer(tokens), expected)
    stepped = torch.cat([layer.step(tokens[:, t : t + 1], t) for t in range(2)], 1)
    assert torch.allclose(stepped, expected)
    assert torch.equal(embedding(position=NoPosition(dim=6, recurrent=False))(tokens), embedding()(tokens))


def test_word_dropout_spares_the_end_and_evaluation() -> None:
    layer, tokens = embedding(word_dropout=0.5), torch.tensor([[5, EOS] * 200])
    unknown = 2 * layer.table(torch.tensor(UNK))
    dropped = (layer(tokens) == unknown).all(-1)
    assert 0.3 < dropped[0, ::2].double().mean() < 0.7
    assert not dropped[0, 1::2].any()
    assert not (layer.eval()(tokens) == unknown).all(-1).any()


def test_a_narrow_table_is_brought_to_the_layers_width() -> None:
    assert embedding(width=10)(torch.tensor([[4]])).shape == (1, 1, 10)
