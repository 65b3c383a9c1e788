"""The fused additive scores compared with the plain ones in float64, for several shapes and dtypes.

As a program, `TRITON_INTERPRET=1 python kernel_checks.py differ` prints {case: {of: error}} of kernels that are
interpreted on the CPU, and `python kernel_checks.py compile` compiles them for a GPU, which need not be present.
"""

import json
import sys
from typing import Any

import torch
from torch import Tensor

Types = tuple[torch.dtype, torch.dtype]  # of query and keys, of v
Shape = tuple[int, int, int, int]
DOUBLE = (torch.float64, torch.float64)
SINGLE = (torch.float32, torch.float32)
HALF = (torch.float16, torch.float16)
BRAIN = (torch.bfloat16, torch.bfloat16)
AUTOCAST = (torch.bfloat16, torch.float32)
SHAPES: list[Shape] = [(1, 1, 1, 1), (2, 3, 5, 7), (2, 1, 33, 130), (3, 4, 1, 20), (1, 2, 65, 64)]  # B T S A
CASES: list[tuple[Shape, Types]] = [
    *((shape, types) for types in (DOUBLE, SINGLE) for shape in SHAPES),
    *(((2, 3, 18, 40), types) for types in (HALF, BRAIN, AUTOCAST)),
]
# Relative to the largest number. Triton's interpreter truncates bf16 where a GPU rounds: up to one unit, 2^-7.
TOLERANCES = {torch.float64: 1e-12, torch.float32: 5e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}


def tolerance(of: str, types: Types) -> float:
    """The largest error allowed for this result."""
    return TOLERANCES[types[1] if of == "v" else types[0]]


def inputs(shape: Shape, types: Types, device: str) -> list[Tensor]:
    """Query, keys and v; query and keys are not contiguous."""
    torch.manual_seed(0)
    sentences, targets, sources, width = shape
    query, keys = torch.randn(targets, sentences, width), torch.randn(sources, sentences, width)
    parts = (query.to(types[0]), keys.to(types[0]), torch.randn(1, width).to(types[1]))
    return [(part.transpose(0, 1) if part.dim() == 3 else part).to(device).requires_grad_() for part in parts]


def differences(shape: Shape, types: Types, device: str) -> dict[str, float]:
    """The largest error of the scores and of each gradient, relative to its largest number."""
    from seq2seq.layers.additive_kernels import fused_additive_score
    from seq2seq.layers.additive_score import plain_additive_score

    ours = inputs(shape, types, device)
    theirs = [part.detach().double().requires_grad_() for part in ours]
    scores, expected = fused_additive_score(*ours), plain_additive_score(*theirs)
    assert scores.dtype is types[0]
    weights = torch.randn(expected.shape[:2], dtype=types[0]).to(device).unsqueeze(-1).expand(expected.shape)
    scores.backward(weights)
    expected.backward(weights.double())
    found = {"scores": error(scores, expected)}
    for name, mine, other in zip(("query", "keys", "v"), ours, theirs, strict=True):
        assert mine.grad is not None
        assert mine.grad.dtype is mine.dtype
        found[name] = error(mine.grad, other.grad)
    return found


def error(found: Tensor, expected: Tensor) -> float:
    """The largest difference over the largest number."""
    return float(((found.double() - expected).abs().max() / expected.abs().max()).detach())


def error_of_tanh(dtype: torch.dtype, device: str) -> float:
    """The largest relative error of the kernels' tanh, for absolute values from 1e-30 to 50."""
    from seq2seq.layers.additive_kernels import fused_additive_score

    sizes = torch.cat((torch.logspace(-30, -3, 40), torch.linspace(1e-3, 1, 240), torch.linspace(1, 50, 40)))
    keys = torch.cat((sizes, -sizes)).to(device, dtype).view(1, -1, 1)
    scores = fused_additive_score(keys.new_zeros(1, 1, 1), keys, keys.new_ones(1, 1))
    expected = keys.double().tanh().view(1, 1, -1)
    return float(((scores.double() - expected) / expected).abs().max())


def differ() -> dict[str, dict[str, float]]:
    """Every case on the CPU."""
    from seq2seq.layers.additive_kernels import try_kernels

    with torch.inference_mode():
        try_kernels(torch.device("cpu"))
    found = {str(number): differences(*case, "cpu") for number, case in enumerate(CASES)}
    return found | {"tanh": {str(dtype): error_of_tanh(dtype, "cpu") for dtype in (torch.float32, torch.float64)}}


def compile_for_a_gpu() -> dict[str, int]:
    """The size of each kernel compiled for an A100 (sm_80), for training in bf16."""
    import triton
    import triton.language as tl
    from triton.backends.compiler import GPUTarget

    from seq2seq.layers import additive_kernels as kernels

    sizes: dict[str, Any] = {"A": 256, "EXACT": tl.float32, "ROWS": 16, "COLUMNS": 64}
    given = {"query": "*bf16", "keys": "*bf16", "v": "*fp32"}
    counts = {"T": "i32", "S": "i32"}
    left = {"of_query": "*fp32", "of_keys": "*bf16", "of_v": "*fp32"}
    found = {}
    for kernel, types in (
        (kernels._score_kernel, given | {"scores": "*bf16"} | counts),
        (kernels._gradient_kernel, given | {"gradient": "*bf16"} | left | counts),
    ):
        constants = {(len(types) + number,): value for number, value in enumerate(sizes.values())}
        source = triton.compiler.ASTSource(kernel, types | dict.fromkeys(sizes, "constexpr"), constants)
        found[kernel.__name__] = len(triton.compile(source, target=GPUTarget("cuda", 80, 32)).asm["cubin"])
    return found


if __name__ == "__main__":
    from jaxtyping import install_import_hook

    install_import_hook("seq2seq", "shape_checks.check")  # as in the test suite: the kernels must work with it
    torch.set_num_threads(1)
    print(json.dumps(differ() if sys.argv[1] == "differ" else compile_for_a_gpu()))
