"""Additive scores: the plain version equals the equation, the kernels equal the plain version; which one is used."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from unit.layers.kernel_checks import (
    CASES,
    DOUBLE,
    Shape,
    Types,
    differences,
    error_of_tanh,
    inputs,
    tolerance,
)
from unit.runtime.kernels.programs import needs_triton, printed

from seq2seq.layers import additive_score as module
from seq2seq.layers.additive_score import additive_score, plain_additive_score

CHECKS = Path(__file__).with_name("kernel_checks.py")


def test_the_plain_version_equals_the_equation() -> None:
    query, keys, v = (part.detach() for part in inputs((2, 3, 4, 5), DOUBLE, "cpu"))
    scores = plain_additive_score(query, keys, v)
    for b, t, s in torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(4)).tolist():
        expected = sum(float(v[0, a]) * math.tanh(float(query[b, t, a] + keys[b, s, a])) for a in range(5))
        assert float(scores[b, t, s]) == pytest.approx(expected, abs=1e-12)


def test_a_cpu_uses_the_plain_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def requested(name: str) -> None:
        raise AssertionError("the kernels were requested")

    monkeypatch.setattr(module, "kernels", requested)
    parts = inputs((2, 3, 4, 5), DOUBLE, "cpu")
    assert torch.equal(additive_score(*parts), plain_additive_score(*parts))


@needs_triton
def test_interpreted_kernels_equal_the_plain_version(repository: Path, tmp_path: Path) -> None:
    found = printed(CHECKS, "differ", repository, tmp_path, TRITON_INTERPRET="1")
    errors = found.pop("tanh")
    assert errors["torch.float32"] < 4e-7
    assert errors["torch.float64"] < 2e-15
    assert len(found) == len(CASES)
    for (shape, types), each in zip(CASES, found.values(), strict=True):
        wrong = {of: error for of, error in each.items() if not error < tolerance(of, types)}
        assert not wrong, f"{shape} in {types}"


@needs_triton
def test_the_kernels_compile_for_a_gpu(repository: Path, tmp_path: Path) -> None:
    sizes = printed(CHECKS, "compile", repository, tmp_path, TRITON_INTERPRET="0")
    assert set(sizes) == {"_score_kernel", "_gradient_kernel"}
    assert all(size > 0 for size in sizes.values())


@pytest.mark.gpu
@needs_triton
@pytest.mark.parametrize(("shape", "types"), [*CASES, ((64, 30, 70, 512), DOUBLE)], ids=str)
def test_kernels_on_a_gpu_equal_the_plain_version(shape: Shape, types: Types) -> None:
    assert module.kernels("seq2seq.layers.additive_kernels") is not None
    errors = differences(shape, types, "cuda")
    assert {of: error for of, error in errors.items() if not error < tolerance(of, types)} == {}


@pytest.mark.gpu
@needs_triton
def test_tanh_on_a_gpu() -> None:
    """The hardware's exponential is accurate to two units in the last place."""
    assert error_of_tanh(torch.float32, "cuda") < 1e-6
    assert error_of_tanh(torch.float64, "cuda") < 2e-15


def gradients(function: Any, shape: Shape) -> list[Tensor]:
    """The scores, and the gradients of query, keys and v, under autocast."""
    parts = inputs(shape, (torch.bfloat16, torch.float32), "cuda")
    with torch.autocast("cuda", torch.bfloat16):
        scores = function(*parts)
    scores.sum().backward()
    return [scores.detach(), *(part.grad for part in parts if part.grad is not None)]


@pytest.mark.gpu
@needs_triton
def test_gradients_on_a_gpu_repeat_bitwise_in_the_plain_dtypes() -> None:
    shape = (16, 20, 70, 200)
    plain, first, again = (gradients(each, shape) for each in (plain_additive_score, additive_score, additive_score))
    assert [part.dtype for part in first] == [part.dtype for part in plain]
    assert all(torch.equal(mine, other) for mine, other in zip(first, again, strict=True))


@pytest.mark.gpu
@needs_triton
def test_peak_memory_on_a_gpu_stays_below_the_hidden_layer() -> None:
    shape = (16, 50, 200, 512)
    sentences, targets, sources, width = shape
    gradients(additive_score, shape)  # compiles the kernels and warms up the allocator
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    gradients(additive_score, shape)
    torch.cuda.synchronize()
    hidden = 2 * sentences * targets * sources * width
    assert torch.cuda.max_memory_allocated() - before < hidden / 4
