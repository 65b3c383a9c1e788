"""Building a model allocates little more than the tensors of its checkpoint."""

import pytest
import torch
from torch import nn

from seq2seq.errors import CheckpointError
from seq2seq.model.bounded import USUAL, bounded_by

HELD = {"weight": torch.zeros(3, 4)}


def test_a_model_of_that_size_is_built() -> None:
    with bounded_by(HELD, "runs/x"):
        assert nn.Linear(4, 3).weight.shape == (3, 4)


def test_one_that_is_much_larger_is_refused_before_it_is_allocated() -> None:
    message = "runs/x: its config.yaml describes a larger model than that of its checkpoint, which has 12 numbers in 1 "
    with pytest.raises(CheckpointError, match=message), bounded_by(HELD, "runs/x"):
        nn.Linear(10**9, 10**9)


def test_so_is_one_of_very_many_tensors() -> None:
    with pytest.raises(CheckpointError, match="a larger model"), bounded_by(HELD, "runs/x"):
        for _ in range(USUAL[1] + 21):
            torch.empty(1)
