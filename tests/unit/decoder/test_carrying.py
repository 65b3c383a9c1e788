"""The blocks of ssru and average: their equations position by position, precision, and a state of constant size."""

from collections.abc import Callable

import pytest
import torch
from contract.combinations import Triple, some_batch
from torch import Tensor

from seq2seq.decoder.average import AverageAttention
from seq2seq.decoder.carrying import CarryingBlock
from seq2seq.decoder.ssru import Ssru
from seq2seq.feed_forward.plain import PlainFeedForward
from seq2seq.position.learned import LearnedPosition
from seq2seq.position.sinusoidal import SinusoidalPosition
from seq2seq.types import BOS, State

ROWS, STEPS, DIM = 2, 9, 6


def naive_ssru(block: Ssru, states: Tensor) -> Tensor:
    """Kim et al.'s equations, one position after the other."""
    forget_map, value_map = block.maps.weight.split(DIM)
    carried, outputs = torch.zeros_like(states[:, 0]), []
    for state in states.unbind(1):
        forget = torch.sigmoid(state @ forget_map.T + block.forget_bias)
        carried = forget * carried + (1 - forget) * (state @ value_map.T)
        outputs.append(carried.clamp(min=0))
    return torch.stack(outputs, 1)


def naive_average(block: AverageAttention, states: Tensor) -> Tensor:
    """Zhang et al.'s equations 1 and 2, one position after the other."""
    outputs = []
    for position in range(states.shape[1]):
        mean, state = states[:, : position + 1].mean(1), states[:, position]
        found = mean if block.feed_forward is None else block.feed_forward(mean.unsqueeze(1)).squeeze(1)
        gates = torch.cat((state, found), -1) @ block.gate_map.weight.T + block.gate_map.bias
        keep, forget = torch.sigmoid(gates).split(DIM, -1)
        outputs.append(keep * state + forget * found)
    return torch.stack(outputs, 1)


def average(feed_forward: bool) -> AverageAttention:
    made = PlainFeedForward(dim=DIM, inner_dim=5, activation="relu", dropout=0.0) if feed_forward else None
    return AverageAttention(dim=DIM, feed_forward=made)


BLOCKS: list[tuple[Callable[[], CarryingBlock], Callable[..., Tensor]]] = [
    (lambda: Ssru(dim=DIM), naive_ssru),
    (lambda: average(True), naive_average),
    (lambda: average(False), naive_average),
]
each_block = pytest.mark.parametrize(("make", "naive"), BLOCKS, ids=["ssru", "average", "average without network"])


def random_block(make: Callable[[], CarryingBlock], dtype: torch.dtype) -> CarryingBlock:
    torch.manual_seed(0)
    block = make().to(dtype)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return block


def stepped(block: CarryingBlock, states: Tensor) -> tuple[Tensor, Tensor]:
    """All outputs, one step after the other, and the last vector that is carried."""
    carried = torch.zeros(ROWS, 1, DIM, dtype=torch.promote_types(states.dtype, torch.float32))
    outputs = []
    for position, state in enumerate(states.split(1, 1)):
        output, carried = block.step(state, carried, position)
        outputs.append(output)
    return torch.cat(outputs, 1), carried


@each_block
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.05)]
)
def test_both_ways_compute_the_papers_equations(
    make: Callable[[], CarryingBlock], naive: Callable[..., Tensor], dtype: torch.dtype, tolerance: float
) -> None:
    """In bf16 from the same rounded weights and states as the equations, which are in float64."""
    block = random_block(make, dtype)
    states = torch.randn(ROWS, STEPS, DIM).to(dtype)
    precise = random_block(make, torch.float64)
    precise.load_state_dict(block.state_dict())
    expected = naive(precise, states.double())
    step_by_step, carried = stepped(block, states)
    for found in (block(states, None), step_by_step):
        assert found.dtype is dtype
        assert (found.double() - expected).abs().max() < tolerance
    assert carried.dtype is torch.promote_types(dtype, torch.float32)


@each_block
def test_gradients_are_those_of_the_equations(make: Callable[[], CarryingBlock], naive: Callable[..., Tensor]) -> None:
    block = random_block(make, torch.float64)
    states = torch.randn(ROWS, STEPS, DIM, dtype=torch.float64, requires_grad=True)
    leaves = (states, *block.parameters())
    weight = torch.randn(ROWS, STEPS, DIM, dtype=torch.float64)
    found, expected = (
        torch.autograd.grad((weight * made).sum(), leaves) for made in (block(states, None), naive(block, states))
    )
    assert all((one - other).abs().max() < 1e-12 for one, other in zip(found, expected, strict=True))


@each_block
def test_later_positions_change_nothing(make: Callable[[], CarryingBlock], naive: Callable[..., Tensor]) -> None:
    block = random_block(make, torch.float64)
    states = torch.randn(ROWS, STEPS, DIM, dtype=torch.float64)
    changed = states.clone()
    changed[:, 4:] += 1
    difference = (block(changed, None) - block(states, None)).abs().amax((0, 2))
    assert difference[:4].max() < 1e-12
    assert difference[4:].min() > 1e-3


@torch.no_grad()
def test_bf16_carries_a_long_past_without_adding_up_roundings() -> None:
    """A mean of 2,000 ones is 1: in bf16 the sum would stop at 256."""
    ones = torch.ones(ROWS, 2000, DIM, dtype=torch.bfloat16)
    block = random_block(lambda: average(False), torch.bfloat16)
    first, whole = block(ones[:, :1], None), block(ones, None)
    assert torch.equal(whole, first.expand_as(whole))
    assert torch.equal(stepped(block, ones)[0], whole)


@pytest.mark.parametrize("decoder", ["ssru", "average"])
@torch.no_grad()
def test_the_state_does_not_grow(decoder: str) -> None:
    model, batch = Triple("transformer", "multihead", decoder).model(), some_batch([5, 2], [1, 1])
    state = model.start(model.encode(batch.source, batch.source_mask)).advance(torch.zeros(2, 3, dtype=torch.long))
    sizes = set()
    for step in range(6):
        _, _, state = model.step(torch.full((2, 3), BOS), state)
        assert state.decoder.position == step + 1
        sizes.add(elements(state))
    assert len(sizes) == 1


def elements(value: object) -> int:
    """How many numbers a state has."""
    if isinstance(value, Tensor):
        return value.numel()
    if isinstance(value, State):
        return sum(elements(getattr(value, name)) for name in value.__dataclass_fields__)
    return sum(map(elements, value)) if isinstance(value, tuple) else 0


@pytest.mark.parametrize("decoder", ["ssru", "average"])
@pytest.mark.parametrize("position", ["rotary", "alibi", "relative"])
def test_positions_of_self_attention_are_sinusoidal_in_the_decoder(decoder: str, position: str) -> None:
    model = Triple("transformer", "multihead", decoder, (), (("position", position),)).model()
    assert type(model.encoder.embedding.position).__name__.lower() == f"{position}position"
    assert type(model.decoder.embedding.position) is SinusoidalPosition


@pytest.mark.parametrize("decoder", ["ssru", "average"])
def test_positions_of_the_inputs_are_the_chosen_ones(decoder: str) -> None:
    model = Triple("transformer", "multihead", decoder, (), (("position", "learned"),)).model()
    assert type(model.decoder.embedding.position) is LearnedPosition
