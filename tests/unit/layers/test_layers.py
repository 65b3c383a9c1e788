"""Layers: fused versions equal plain ones, padding has no effect."""

from typing import Literal

import pytest
import torch
from torch.nn import functional as F

from seq2seq.layer_norm.layer import LayerNorm
from seq2seq.layers.dropout import dropout
from seq2seq.layers.embedding import InputEmbedding, embedding_table
from seq2seq.layers.residual import Residual
from seq2seq.layers.rnn import RecurrentLayer, RecurrentStack, reorder, reversal
from seq2seq.position.none import NoPosition
from seq2seq.position.sinusoidal import SinusoidalPosition
from seq2seq.position.sinusoidal_2d import Sinusoidal2dPosition
from seq2seq.types import EOS, PAD, UNK

BOTH = pytest.mark.parametrize("cell", ["lstm", "gru"])


def test_dropout_keeps_the_mean_and_repeats_by_seed() -> None:
    states = torch.ones(1001, 103)
    torch.manual_seed(3)
    first = dropout(states, 0.3, training=True)
    torch.manual_seed(3)
    assert torch.equal(first, dropout(states, 0.3, training=True))
    assert not torch.equal(first, dropout(states, 0.3, training=True))
    assert first.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert float(first.eq(0).double().mean()) == pytest.approx(0.3, abs=0.01)
    for column in range(4):  # four numbers come from one random word: all have the same rate
        assert float(first.flatten()[column::4].eq(0).double().mean()) == pytest.approx(0.3, abs=0.02)
    assert dropout(states, 0.3, training=False) is states
    assert dropout(states, 0.0, training=True) is states


@pytest.mark.parametrize("p", [1e-9, 7.5e-6, 1e-4, 0.01, 0.99, 0.9999, 1 - 7.5e-6])
def test_dropout_has_the_right_rate_for_p_near_0_and_1(p: float) -> None:
    """16 random bits allow no rate below 1/65536."""
    torch.manual_seed(0)
    states = torch.ones(2_000_000)
    kept = dropout(states, p, training=True)
    share = float(kept.ne(0).double().mean())
    spread = (p * (1 - p) / len(states)) ** 0.5
    assert abs(share - (1 - p)) <= 5 * spread + 2**-17
    assert kept[kept != 0].unique().tolist() == ([pytest.approx(1 / (1 - p), rel=2e-3)] if share else [])


def test_dropout_of_1_returns_zeros() -> None:
    assert dropout(torch.ones(100), 1.0, training=True).eq(0).all()


def test_dropout_gradients_have_the_mask_of_the_output() -> None:
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
    weights = layer.loop_weights(3)  # three of the five columns are projected beforehand, two at each step
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


def test_forget_gates_start_open() -> None:
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


@pytest.mark.parametrize("norm", ["pre", "post", "deep"])
def test_residual_connections(norm: str) -> None:
    alpha = 3.0 if norm == "deep" else 1.0
    residual = Residual(dim=4, norm=norm, alpha=alpha, dropout=0.0, layer_norm=LayerNorm)
    states = torch.randn(1, 2, 4)
    block = torch.nn.Linear(4, 4)
    normalised = F.layer_norm(states, (4,)) if norm == "pre" else states
    expected = alpha * states + block(normalised)
    assert torch.allclose(residual(states, block), expected if norm == "pre" else F.layer_norm(expected, (4,)))


def embedding(**changes: object) -> InputEmbedding:
    settings = {"width": 6, "scale": 2.0, "dropout": 0.0, "word_dropout": 0.0, "position": None} | changes
    torch.manual_seed(0)
    return InputEmbedding(table=embedding_table(9, 6), **settings)


def test_embeddings_are_scaled_before_positions_are_added() -> None:
    position = SinusoidalPosition(dim=6, heads=1, recurrent=False)
    layer, tokens = embedding(position=position), torch.tensor([[5, 4]])
    expected = 2 * layer.table(tokens) + position.embed(torch.tensor([0, 1]), tokens).float()
    assert torch.allclose(layer(tokens), expected)
    stepped = torch.cat([layer.step(tokens[:, t : t + 1], t) for t in range(2)], 1)
    assert torch.allclose(stepped, expected)
    assert torch.equal(embedding(position=NoPosition(dim=6, heads=1, recurrent=False))(tokens), embedding()(tokens))


@pytest.mark.parametrize("width", [6, 10])
def test_a_normalisation_is_that_of_the_sum_with_the_position(width: int) -> None:
    position = SinusoidalPosition(dim=width, heads=1, recurrent=False)
    tokens, norm = torch.tensor([[5, 4, PAD]]), torch.nn.LayerNorm(width)
    torch.nn.init.normal_(norm.weight)
    plain, layer = (embedding(width=width, position=position, norm=made) for made in (None, norm))
    assert torch.allclose(layer(tokens), norm(plain(tokens)))
    stepped = torch.cat([layer.step(tokens[:, t : t + 1], t) for t in range(3)], 1)
    assert torch.allclose(stepped, layer(tokens))
    dropping = embedding(width=width, position=position, norm=norm, dropout=0.5)(tokens.repeat(1, 50))
    assert 0.3 < (dropping == 0).double().mean() < 0.7, "dropout is after it"


def test_positions_are_those_of_the_tokens_before_word_dropout() -> None:
    position = Sinusoidal2dPosition(dim=6, heads=1, symbols={"\n": 4}, separator="\n", recurrent=False)
    layer, tokens = embedding(position=position, word_dropout=0.9), torch.tensor([[5, 4, 6] * 20])
    expected = position.embed(torch.arange(60), tokens).float()
    added = layer(tokens) - 2 * layer.table(torch.tensor(UNK))
    near = (added - expected).abs().amax(-1) < 1e-6
    assert 0.7 < near.double().mean() < 1


def test_word_dropout_skips_eos_and_evaluation() -> None:
    layer, tokens = embedding(word_dropout=0.5), torch.tensor([[5, EOS] * 200])
    unknown = 2 * layer.table(torch.tensor(UNK))
    dropped = (layer(tokens) == unknown).all(-1)
    assert 0.3 < dropped[0, ::2].double().mean() < 0.7
    assert not dropped[0, 1::2].any()
    assert not (layer.eval()(tokens) == unknown).all(-1).any()


def test_a_narrow_table_is_projected_to_the_layers_width() -> None:
    assert embedding(width=10)(torch.tensor([[4]])).shape == (1, 1, 10)


@BOTH
def test_recurrent_layers_run_under_cpu_autocast(cell: Literal["lstm", "gru"]) -> None:
    layer = RecurrentLayer(cell=cell, input_dim=6, hidden_size=5, weight_dropout=0.0)
    inputs = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(1))
    exact = layer(inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = layer(inputs)
    rounded.float().sum().backward()
    assert (rounded - exact).abs().max() < 0.02
