"""Self-attention compared with its equations in plain loops, full attention and PyTorch's, in float64."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.layers.scaled_dot import split_heads
from seq2seq.position.alibi import AlibiPosition
from seq2seq.position.base import Position
from seq2seq.position.learned import LearnedPosition
from seq2seq.position.relative import RelativePosition
from seq2seq.position.rotary import RotaryPosition
from seq2seq.self_attention import full as module
from seq2seq.self_attention.ancestry import Ancestry
from seq2seq.self_attention.base import SelfAttention
from seq2seq.self_attention.full import FullSelfAttention, PerHypothesis
from seq2seq.self_attention.windowed import Blocks, WindowedSelfAttention

DIM, HEADS = 16, 4
WIDTHS = {"dim": DIM, "heads": HEADS}
POSITIONS = {
    "none": lambda: None,
    "learned": lambda: LearnedPosition(**WIDTHS, max_length=9, recurrent=False),  # does not affect self-attention
    "rotary": lambda: RotaryPosition(**WIDTHS),
    "alibi": lambda: AlibiPosition(**WIDTHS),
    "relative": lambda: RelativePosition(**WIDTHS, buckets=8, max_distance=6),
}
every_position = pytest.mark.parametrize("name", POSITIONS)
causal_or_not = pytest.mark.parametrize("causal", [False, True], ids=["encoder", "decoder"])


def randomised(module: nn.Module) -> nn.Module:
    """In float64, with random parameters: biases that are not zero."""
    module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
    return module


def position_of(name: str) -> Position | None:
    torch.manual_seed(3)
    position = POSITIONS[name]()
    return None if position is None else randomised(position)


def full(kv_heads: int | None = None) -> FullSelfAttention:
    torch.manual_seed(0)
    return randomised(FullSelfAttention(**WIDTHS, dropout=0.0, kv_heads=kv_heads))


def windowed(window: int, kv_heads: int | None = None) -> WindowedSelfAttention:
    torch.manual_seed(0)
    return randomised(WindowedSelfAttention(**WIDTHS, dropout=0.0, kv_heads=kv_heads, window=window))


def sequences(lengths: list[int], padding: int = 0) -> tuple[Tensor, Tensor]:
    """Random states of these lengths, and their mask."""
    torch.manual_seed(1)
    real = torch.arange(max(lengths) + padding) < torch.tensor(lengths).unsqueeze(1)
    return torch.randn(*real.shape, DIM, dtype=torch.float64), real


def by_loops(
    attention: FullSelfAttention, states: Tensor, length: int, position: Position | None, causal: bool, window: float
) -> Tensor:
    """The output for one sequence [T D], by the equations in plain loops."""
    d, group = DIM // HEADS, HEADS // attention.kv_heads
    maps = attention.maps.weight.split([DIM, attention.kv_heads * d, attention.kv_heads * d])
    outputs = []
    for i in range(length):
        heads = []
        for h in range(HEADS):
            query_rows, kv_rows = slice(h * d, h * d + d), slice(h // group * d, h // group * d + d)
            exponentials, context = [], torch.zeros(d, dtype=torch.float64)
            readable = [j for j in range(length) if abs(i - j) <= window and (j <= i or not causal)]
            for j in readable:
                query = maps[0][query_rows] @ states[i] + attention.query_bias[query_rows]
                key = maps[1][kv_rows] @ states[j]
                score = 0.0
                if position is not None:
                    query = position.rotate(query[None, None, None], torch.tensor([i]))[0, 0, 0]
                    key = position.rotate(key[None, None, None], torch.tensor([j]))[0, 0, 0]
                    bias = position.bias(torch.tensor([i]), torch.tensor([j]))
                    score = 0.0 if bias is None else float(bias[h, 0, 0])
                score += sum(float(query[n]) * float(key[n]) for n in range(d)) / math.sqrt(d)
                exponentials.append(math.exp(score))
            for j, exponential in zip(readable, exponentials, strict=True):
                value = maps[2][kv_rows] @ states[j] + attention.value_bias[kv_rows]
                context += exponential / sum(exponentials) * value
            heads.append(context)
        outputs.append(attention.output_map.weight @ torch.cat(heads) + attention.output_map.bias)
    return torch.stack(outputs)


@every_position
@causal_or_not
@pytest.mark.parametrize(
    ("attention", "window"),
    [(full(), math.inf), (full(1), math.inf), (full(2), math.inf), (windowed(2), 2), (windowed(1, 2), 1)],
    ids=["full", "multi-query", "grouped-query", "windowed", "windowed-grouped"],
)
@torch.no_grad()
def test_outputs_equal_the_equations(attention: FullSelfAttention, window: float, causal: bool, name: str) -> None:
    position, lengths = position_of(name), [7, 2]
    states, real = sequences(lengths)
    outputs = attention(states, attention.whole(real, position, causal=causal))
    for row, length in enumerate(lengths):
        expected = by_loops(attention, states[row], length, position, causal, window)
        assert (outputs[row, :length] - expected).abs().max() < 1e-10


@pytest.mark.parametrize("kv_heads", [1, 2])
@torch.no_grad()
def test_shared_heads_equal_full_attention_with_repeated_keys_and_values(kv_heads: int) -> None:
    shared, separate = full(kv_heads), full()
    repeat = HEADS // kv_heads

    def repeated(rows: Tensor) -> Tensor:
        return rows.unflatten(0, (kv_heads, -1)).repeat_interleave(repeat, 0).flatten(0, 1)

    query, keys, values = shared.maps.weight.split(shared.widths)
    separate.maps.weight.copy_(torch.cat((query, repeated(keys), repeated(values))))
    separate.query_bias.copy_(shared.query_bias)
    separate.value_bias.copy_(repeated(shared.value_bias))
    separate.output_map.load_state_dict(shared.output_map.state_dict())
    states, real = sequences([7, 4])
    scope = shared.whole(real, None, causal=False)
    assert (shared(states, scope) - separate(states, scope)).abs().max() < 1e-10
    query, keys, values = (
        split_heads(part, heads)
        for part, heads in zip(
            (states @ shared.maps.weight.T).split(shared.widths, -1), (HEADS, kv_heads, kv_heads), strict=True
        )
    )
    reference = F.scaled_dot_product_attention(query, keys, values, real[:, None, None], enable_gqa=True)
    assert (shared.attend(query, keys, values, scope) - reference).abs().max() < 1e-10
    assert shared.empty_cache(5).keys.shape == (5, kv_heads, 0, DIM // HEADS)


@every_position
@causal_or_not
@pytest.mark.parametrize(
    ("window", "length", "padding"), [*product((1, 3), (1, 2, 4, 9, 10, 11, 12, 17), (0,)), (2, 9, 9), (4, 12, 5)]
)
@torch.no_grad()
def test_windows_equal_full_attention_with_a_band_mask(
    window: int, length: int, padding: int, causal: bool, name: str
) -> None:
    position, narrow, wide = position_of(name), windowed(window), full()
    states, real = sequences([length, -(-length // 3)], padding)
    scope = narrow.whole(real, position, causal=causal)
    assert isinstance(scope, Blocks) == (real.shape[1] > window * (2 if causal else 3))
    steps = torch.arange(real.shape[1])
    band = (steps.unsqueeze(1) - steps).abs() <= window
    expected_scope = wide.whole(real, None, causal=causal)
    mask = (expected_scope.mask & band) | torch.eye(len(steps), dtype=torch.bool)
    expected = wide(states, type(expected_scope).of(mask, position, steps, steps))
    outputs = narrow(states, scope)
    assert outputs.isfinite().all()
    assert (outputs - expected)[real].abs().max() < 1e-10


@causal_or_not
@pytest.mark.parametrize("name", ["none", "alibi"])
@pytest.mark.parametrize("window", [1, 4])
def test_padding_out_of_reach_of_real_tokens_can_read_something(window: int, name: str, causal: bool) -> None:
    """Otherwise its softmax is NaN without a fused kernel, and NaN times a weight of zero is NaN."""
    _, real = sequences([9, 1])
    scope = windowed(window).whole(real, position_of(name), causal=causal)
    scope = scope.inside if isinstance(scope, Blocks) else scope
    readable = scope.mask if scope.bias is None else scope.bias.isfinite()
    assert readable is not None
    assert readable.any(-1).all()


def test_blocks_never_store_scores_of_all_pairs() -> None:
    _, real = sequences([600])
    for causal, reach in ((False, 15), (True, 10)):
        scope = windowed(5).whole(real, position_of("relative"), causal=causal)
        assert isinstance(scope, Blocks)
        assert scope.inside.bias is not None
        assert scope.inside.bias.shape == (120, HEADS, 5, reach)


@every_position
@pytest.mark.parametrize(
    "attention",
    [full(), full(1), full(2), windowed(1), windowed(2, 2)],
    ids=["full", "multi-query", "grouped-query", "windowed", "windowed-grouped"],
)
@pytest.mark.parametrize("drops_slots", [False, True])
@pytest.mark.parametrize("per_hypothesis", [False, True])
@torch.no_grad()
def test_hypotheses_with_shared_slots_read_only_their_own_past(
    attention: SelfAttention, name: str, drops_slots: bool, per_hypothesis: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hypotheses branch, change places and become fewer; each must read the same as it would alone."""
    if per_hypothesis:
        monkeypatch.setattr(module, "APART", 1)
    torch.manual_seed(2)
    position = position_of(name)
    parents = [[0, 0, 0], [1, 0, 1], [1, 1], [0, 1], [1, 0, 1], [2, 2, 0], [0, 1, 2]]  # at steps 1, 2, ...
    cache, ancestry = attention.empty_cache(1), Ancestry.empty(1, torch.device("cpu"))
    past: list[list[Tensor]] = [[]]
    for step in range(len(parents) + 1):
        if step:
            ancestry = ancestry.advance(torch.tensor([parents[step - 1]]))
            past = [list(past[parent]) for parent in parents[step - 1]]
        if drops_slots and (left := ancestry.living(attention.reach)):
            ancestry, cache = left[0], cache.only(left[1])
        states = torch.randn(1, len(past), DIM, dtype=torch.float64)
        ancestry = ancestry.extend()
        outputs, cache = attention.step(states, cache, attention.latest(ancestry, position))
        for beam, history in enumerate(past):
            history.append(states[0, beam])
            scope = attention.whole(torch.ones(1, step + 1, dtype=torch.bool), position, causal=True)
            alone = attention(torch.stack(history).unsqueeze(0), scope)
            assert (outputs[0, beam] - alone[0, -1]).abs().max() < 1e-10
    assert (ancestry.steps.shape[1] < 1 + sum(map(len, parents))) == drops_slots


@torch.no_grad()
def test_many_samples_do_not_read_each_other() -> None:
    """What a step reads grows with their number, not with its square."""
    attention, sizes = full(), []
    for samples in (64, 128):
        ancestry = Ancestry.empty(1, torch.device("cpu")).advance(torch.zeros(1, samples, dtype=torch.long))
        for _ in range(5):
            ancestry = ancestry.extend()
        scope = attention.latest(ancestry, None)
        assert isinstance(scope, PerHypothesis) and scope.mask is None
        sizes.append(scope.rows.numel())
    assert sizes == [64 * 5 * HEADS, 128 * 5 * HEADS]


def test_slots_record_the_step_that_wrote_them() -> None:
    ancestry = Ancestry.empty(2, torch.device("cpu")).extend()
    ancestry = ancestry.advance(torch.tensor([[0, 0, 0], [0, 0, 0]])).extend()
    ancestry = ancestry.advance(torch.tensor([[2, 0], [1, 1]])).keep(torch.tensor([1])).extend()
    assert ancestry.steps.tolist() == [[0, 1, 1, 1, 2, 2]]
    assert ancestry.slots.tolist() == [[[0, 2, 4], [0, 2, 5]]]
    assert ancestry.mask().long().tolist() == [[[[1, 0, 1, 0, 1, 0], [1, 0, 1, 0, 0, 1]]]]


def test_slots_without_descendants_are_dropped() -> None:
    ancestry = Ancestry.empty(2, torch.device("cpu")).extend()
    ancestry = ancestry.advance(torch.zeros(2, 3, dtype=torch.long)).extend()
    assert ancestry.living(None) is None  # all four slots are used
    ancestry = ancestry.advance(torch.tensor([[2, 2, 2], [1, 1, 2]])).extend().advance(torch.tensor([[1, 0], [2, 2]]))
    left = ancestry.living(None)
    assert left is not None
    living, slots = left
    # The first sentence needs 0, 3 and both of 4, 5; the second 0, 3 and 6, and is filled with an unused one.
    assert slots.tolist() == [[0, 3, 4, 5], [0, 3, 6, 1]]
    assert living.steps.tolist() == [[0, 1, 2, 2], [0, 1, 2, 1]]
    assert living.slots.tolist() == [[[0, 1, 3], [0, 1, 2]], [[0, 1, 2], [0, 1, 2]]]
    assert not living.mask()[1, ..., 3].any()
    for step in range(3):
        assert (living.steps.gather(1, living.slots[..., step]) == step).all()


def test_slots_out_of_reach_are_dropped() -> None:
    ancestry = Ancestry.empty(1, torch.device("cpu"))
    for _ in range(5):
        ancestry = ancestry.extend()
    assert ancestry.living(4) is None  # four of five are in reach
    left = ancestry.living(2)
    assert left is not None
    assert left[1].tolist() == [[3, 4]]
    later = left[0].extend()
    assert (later.length, later.slots.tolist(), later.steps.tolist()) == (6, [[[0, 1, 2]]], [[3, 4, 5]])


@every_position
@causal_or_not
@pytest.mark.parametrize("attention", [full(1), windowed(2, 2)], ids=["multi-query", "windowed"])
def test_every_parameter_gets_a_gradient(attention: SelfAttention, causal: bool, name: str) -> None:
    position = position_of(name)
    states, real = sequences([9, 3])
    attention.zero_grad()
    attention(states, attention.whole(real, position, causal=causal))[real].square().sum().backward()
    learning = [*attention.parameters(), *(position.parameters() if name == "relative" else ())]
    for parameter in learning:
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().max() > 0


def test_attention_dropout_is_only_in_training() -> None:
    torch.manual_seed(0)
    attention = FullSelfAttention(**WIDTHS, dropout=0.5, kv_heads=None).double()
    states, real = sequences([9, 3])
    scope = attention.whole(real, None, causal=False)
    assert not torch.equal(attention(states, scope), attention(states, scope))
    attention.eval()
    assert torch.equal(attention(states, scope), attention(states, scope))


@pytest.mark.parametrize(
    ("kind", "arguments", "expected"),
    [
        (FullSelfAttention, {"heads": 4, "kv_heads": 2}, None),
        (FullSelfAttention, {"heads": 4, "kv_heads": None}, None),
        (FullSelfAttention, {"heads": 4, "kv_heads": 3}, "self_attention.kv_heads=3 does not divide heads=4"),
        (FullSelfAttention, {"heads": 4, "kv_heads": 0}, "self_attention.kv_heads=0 does not divide heads=4"),
        (WindowedSelfAttention, {"heads": 4, "kv_heads": None, "window": 1}, None),
        (WindowedSelfAttention, {"heads": 4, "kv_heads": 3, "window": 1}, "kv_heads=3 does not divide heads=4"),
        (WindowedSelfAttention, {"heads": 4, "kv_heads": 2, "window": 0}, "window must be at least 1, not 0"),
    ],
)
def test_problems(kind: type[SelfAttention], arguments: dict[str, int], expected: str | None) -> None:
    found = kind.problem(**arguments)
    assert found is None if expected is None else expected in str(found)
