"""Fused kernels compared with torch's operations in float64, for a table of cases.

As a program, `TRITON_INTERPRET=1 python checks.py differ` prints {case: {of: error}} of kernels that are interpreted on
the CPU, and `python checks.py compile` compiles them for GPUs, which need not be present.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

HALF, BRAIN, SINGLE, DOUBLE = torch.float16, torch.bfloat16, torch.float32, torch.float64
# Relative to the largest number. Triton's interpreter truncates bf16 where a GPU rounds: up to one unit, 2^-7.
TOLERANCES = {DOUBLE: 1e-12, SINGLE: 5e-6, HALF: 2e-3, BRAIN: 2e-2}


@dataclass(frozen=True)
class Case:
    """A kernel, its sizes, the types of its inputs and of its results, and the kind of mask."""

    kernel: str
    sizes: tuple[int, ...]
    types: tuple[torch.dtype, torch.dtype]
    mask: str = "none"

    def __str__(self) -> str:
        return f"{self.kernel}-{self.sizes}-{self.types[0]}-{self.types[1]}-{self.mask}"


HEADS = [(1, 1, 1, 1, 16), (2, 3, 5, 7, 32), (2, 2, 33, 64, 64), (3, 4, 64, 17, 128)]  # B H T S d
ATTENTION = [
    Case("attention", sizes, (dtype, dtype), mask)
    for dtype in (HALF, BRAIN)
    for sizes in HEADS
    for mask in ("none", "padding", "any")
] + [Case("attention", (2, 4, 16, 16, 128), (dtype, dtype), "causal") for dtype in (HALF, BRAIN)]
NORM = [
    Case("norm", sizes, types)
    for types in ((SINGLE, SINGLE), (SINGLE, HALF), (SINGLE, BRAIN))
    for sizes in ((1, 8), (2, 3, 7), (9, 11, 512), (700, 16), (40, 1000))
]
CROSS_ENTROPY = [
    Case("cross_entropy", sizes, (dtype, torch.promote_types(dtype, SINGLE)), mask)
    for dtype in (DOUBLE, SINGLE, HALF, BRAIN)
    for sizes in ((3, 5), (7, 300), (4, 4096), (5, 10001))
    for mask in ("none", "any")
]
CASES = [*ATTENTION, *NORM, *CROSS_ENTROPY]
# The interpreter multiplies the bits of bf16 as if they were integers.
INTERPRETED = [case for case in CASES if case.kernel != "attention" or case.types[0] is not BRAIN]


def differences(case: Case, device: str) -> dict[str, float]:
    """The largest error of the result and of each gradient, relative to its largest number."""
    torch.manual_seed(0)
    return {"attention": _attention, "norm": _norm, "cross_entropy": _cross_entropy}[case.kernel](case, device)


def tolerance(case: Case, of: str) -> float:
    """The largest error allowed for this result: by its own type, or by that of the gradient that it sums."""
    if case.kernel == "norm" and of == "result":
        return TOLERANCES[case.types[1]]
    return TOLERANCES[case.types[1] if case.kernel == "cross_entropy" and of != "logits" else case.types[0]]


def compared(ours: Callable, theirs: Callable, inputs: dict[str, Tensor], device: str) -> dict[str, float]:
    """The errors of `ours`: both get the same inputs and the same random gradient of the result."""
    mine = {name: part.to(device).requires_grad_() for name, part in inputs.items()}
    exact = {name: part.detach().double().requires_grad_() for name, part in mine.items()}
    result, expected = ours(*mine.values()), theirs(*exact.values())
    gradient = torch.randn(expected.shape, dtype=DOUBLE).to(device, result.dtype)
    result.backward(gradient)
    expected.backward(gradient.double())
    found = {"result": error(result, expected)}
    for name, part in mine.items():
        assert part.grad is not None
        assert part.grad.dtype is part.dtype
        found[name] = error(part.grad, exact[name].grad)
    return found


def error(found: Tensor, expected: Tensor | None) -> float:
    """The largest difference over the largest number."""
    assert expected is not None
    found, expected = found.detach().double(), expected.detach()
    return float((found - expected).abs().max() / expected.abs().max().clamp_min(1e-9))


def _attention(case: Case, device: str) -> dict[str, float]:
    from seq2seq.layers.attention_kernels import fused_attention, suits

    sentences, heads, targets, sources, width = case.sizes
    sides = {"query": targets, "keys": sources, "values": sources}
    inputs = {}
    for name, length in sides.items():  # heads next to each other, as a linear layer returns them
        joined = torch.randn(sentences, length, heads * width).to(case.types[0])
        inputs[name] = joined.unflatten(-1, (heads, width)).transpose(1, 2)
    assert suits(inputs["query"], inputs["keys"])
    mask = {
        "none": None,
        "padding": (torch.arange(sources) <= torch.randint(0, sources, (sentences, 1)))[:, None, None],
        "causal": (torch.arange(targets)[:, None] >= torch.arange(sources))[None, None],
        "any": torch.rand(sentences, heads, targets, sources) > 0.3,
    }[case.mask]
    if mask is not None:
        mask = mask.to(device)
    if case.mask == "any":
        mask[..., 0] = True  # each query sees at least one position
    return compared(
        lambda *parts: fused_attention(*parts, mask),
        lambda *parts: F.scaled_dot_product_attention(*parts, mask),
        inputs,
        device,
    )


def _norm(case: Case, device: str) -> dict[str, float]:
    from seq2seq.layers.norm_kernels import fused_layer_norm

    width, (given, wanted) = case.sizes[-1], case.types
    inputs = {
        "states": (3 * torch.randn(case.sizes) + 1).to(given),
        "scale": torch.randn(width),
        "shift": torch.randn(width),
    }
    return compared(
        lambda *parts: fused_layer_norm(*parts, 1e-5, wanted),
        lambda states, *rest: F.layer_norm(states, (width,), *rest, 1e-5),
        inputs,
        device,
    )


def _cross_entropy(case: Case, device: str) -> dict[str, float]:
    from seq2seq.loss.cross_entropy import plain_cross_entropy
    from seq2seq.loss.cross_entropy_kernels import fused_cross_entropy

    rows, vocabulary = case.sizes
    logits = (5 * torch.randn(rows, vocabulary)).to(device, case.types[0])
    targets = torch.randint(0, vocabulary, (rows,)).to(device)
    mask = None if case.mask == "none" else (torch.arange(rows) % 3 != 1).to(device)
    found = {}
    for smoothing in (0.0, 0.1):
        ours = fused_cross_entropy(logits, targets, smoothing, mask, with_gradient=True)
        theirs = plain_cross_entropy(logits.double(), targets, smoothing, mask, with_gradient=True)
        for name, mine, other in zip(("loss", "nll", "logits"), ours, theirs, strict=True):
            found[name] = max(found.get(name, 0.0), error(mine, other))
        assert fused_cross_entropy(logits, targets, smoothing, mask, with_gradient=False)[2] is None
        assert mask is None or not ours[2][~mask].any()
    return found


def differ() -> dict[str, dict[str, float]]:
    """Every case that can be interpreted, on the CPU."""
    from seq2seq.layers import norm_kernels
    from seq2seq.loss import cross_entropy_kernels

    with torch.inference_mode():
        for module in (norm_kernels, cross_entropy_kernels):
            module.try_kernels(torch.device("cpu"))
    return {str(case): differences(case, "cpu") for case in INTERPRETED}


def compile_for_gpus() -> dict[str, int]:
    """The shared memory of each kernel, in bytes, at the largest sizes, for training in bf16 on an A100 (sm_80) and an
    H100 (sm_90)."""
    import triton.language as tl

    from seq2seq.layers import attention_kernels as attention
    from seq2seq.layers import norm_kernels as norm
    from seq2seq.loss import cross_entropy_kernels as cross_entropy

    edge, width = attention.LONGEST, attention.WIDEST
    head = {"MASKED": True, "D": width, "TARGETS": edge, "SOURCES": edge}
    columns, rows = norm._tile(512)
    layer = {"D": 512, "COLUMNS": columns, "ROWS": rows}
    row = {"SMOOTHING": 0.1, "V": 10000, "MASKED": True, "WITH_GRADIENT": True}
    row |= {"EXACT": tl.float32, "COLUMNS": cross_entropy.COLUMNS}
    found = {}
    for architecture in (80, 90):
        for kernel, constants in (
            (attention._attention_kernel, head),
            (attention._gradient_kernel, head),
            (norm._norm_kernel, layer),
            (norm._gradient_kernel, layer),
            (cross_entropy._cross_entropy_kernel, row),
        ):
            name = f"{kernel.fn.__module__}.{kernel.fn.__name__} {architecture}"
            found[name] = _compiled(kernel, constants, architecture)
    return found


TYPES = {"mask": "*i1", "targets": "*i64", "scale": "*fp32", "shift": "*fp32", "eps": "fp32"}
EXACT = ("states", "of_states", "mean", "inverse", "sums", "loss", "nll")  # pointers to fp32
COUNTS = ("H", "T", "S", "N", "turns")


def _compiled(kernel: Any, constants: dict[str, Any], architecture: int) -> int:
    """The shared memory of a kernel with these constants."""
    import triton
    from triton.backends.compiler import GPUTarget

    names: Sequence[str] = kernel.arg_names
    signature = {name: _type(name, "attention" in kernel.fn.__module__) for name in names}
    signature |= dict.fromkeys(constants, "constexpr")
    places = {(names.index(name),): value for name, value in constants.items()}
    source = triton.compiler.ASTSource(kernel, signature, places)
    return triton.compile(source, target=GPUTarget("cuda", architecture, 32)).metadata.shared


def _type(name: str, attends: bool) -> str:
    if attends and name == "scale":
        return "fp32"
    if name in TYPES:
        return TYPES[name]
    if name in EXACT:
        return "*fp32"
    if name in COUNTS:
        return "i32"
    strides = attends and name[-2:] in ("_b", "_h", "_t", "_s")
    return "i64" if strides else "*bf16"


if __name__ == "__main__":
    from jaxtyping import install_import_hook

    install_import_hook("seq2seq", "shape_checks.check")  # as in the test suite: the kernels must work with it
    torch.set_num_threads(1)
    print(json.dumps(differ() if sys.argv[1] == "differ" else compile_for_gpus()))
