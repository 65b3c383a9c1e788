"""The test suite checks shapes: a wrong shape or type raises an error."""

import pytest
import torch
from jaxtyping import TypeCheckError

from seq2seq.types import Batch, Memory, select_parents


def ids(*shape: int) -> torch.Tensor:
    return torch.zeros(*shape, dtype=torch.long)


def mask(*shape: int) -> torch.Tensor:
    return torch.ones(*shape, dtype=torch.bool)


def fields(**changed: torch.Tensor) -> dict[str, torch.Tensor]:
    right = {
        "source": ids(2, 3),
        "source_mask": mask(2, 3),
        "target_in": ids(2, 4),
        "target_out": ids(2, 4),
        "target_mask": mask(2, 4),
        "lengths": ids(2),
        "pair_ids": ids(2),
    }
    return right | changed


def test_a_batch_with_matching_shapes_is_accepted() -> None:
    assert Batch(**fields()).to(torch.device("cpu")).source.shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source_mask", mask(2, 4)),
        ("source_mask", ids(2, 3)),
        ("source", torch.zeros(2, 3)),
        ("target_in", ids(2, 5)),
        ("target_out", ids(3, 4)),
        ("lengths", ids(3)),
        ("pair_ids", ids(2, 1)),
    ],
    ids=["longer mask", "mask of ids", "source of floats", "longer target", "more rows", "more lengths", "two axes"],
)
def test_a_batch_with_wrong_shapes_is_refused(name: str, value: torch.Tensor) -> None:
    with pytest.raises(TypeCheckError, match=name):
        Batch(**fields(**{name: value}))


def test_a_memory_whose_mask_is_longer_than_its_states_is_refused() -> None:
    with pytest.raises(TypeCheckError, match="mask"):
        Memory(states=torch.zeros(2, 3, 5), mask=mask(2, 4), tokens=None, summary=torch.zeros(2, 7))


def test_an_argument_of_the_wrong_dtype_is_refused() -> None:
    with pytest.raises(TypeCheckError, match="parents"):
        select_parents(torch.zeros(2, 3), torch.zeros(2, 3))


def test_an_argument_of_the_wrong_class_is_refused() -> None:
    with pytest.raises(TypeCheckError, match="device"):
        Batch(**fields()).to("cpu")  # type: ignore[arg-type]


def test_methods_that_return_self_pass_the_check() -> None:
    memory = Memory(states=torch.arange(12.0).reshape(2, 3, 2), mask=mask(2, 3), tokens=None, summary=torch.zeros(2, 7))
    kept = memory.keep(torch.tensor([1]))
    assert isinstance(kept, Memory)
    assert torch.equal(kept.states, memory.states[1:])
