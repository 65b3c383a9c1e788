"""The fused kernels equal torch's operations, interpreted on a CPU and run on a GPU."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from unit.runtime.kernels.checks import ATTENTION, CASES, INTERPRETED, Case, differences, tolerance
from unit.runtime.kernels.programs import needs_triton, printed

from seq2seq.layer_norm.layer import LayerNorm
from seq2seq.layers.scaled_dot import scaled_dot_product
from seq2seq.loss.cross_entropy import cross_entropy
from seq2seq.runtime.triton import kernels

MODULES = ["seq2seq.layers.attention_kernels", "seq2seq.layers.norm_kernels", "seq2seq.loss.cross_entropy_kernels"]
CHECKS = Path(__file__).with_name("checks.py")
SHARED_OF_AN_A100 = 163 * 1024  # bytes per program


@needs_triton
def test_interpreted_kernels_equal_torchs_operations(repository: Path, tmp_path: Path) -> None:
    found = printed(CHECKS, "differ", repository, tmp_path, TRITON_INTERPRET="1")
    assert list(found) == [str(case) for case in INTERPRETED]
    for case, errors in zip(INTERPRETED, found.values(), strict=True):
        assert {of: error for of, error in errors.items() if not error < tolerance(case, of)} == {}, str(case)


@needs_triton
def test_kernels_compile_for_gpus_and_fit_into_shared_memory(repository: Path, tmp_path: Path) -> None:
    shared = printed(CHECKS, "compile", repository, tmp_path, TRITON_INTERPRET="0")
    assert len(shared) == 10
    assert max(shared.values()) <= SHARED_OF_AN_A100


@pytest.mark.gpu
@needs_triton
@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernels_on_a_gpu_equal_torchs_operations(case: Case) -> None:
    errors = differences(case, "cuda")
    assert {of: error for of, error in errors.items() if not error < tolerance(case, of)} == {}


@pytest.mark.gpu
@needs_triton
@pytest.mark.parametrize("module", MODULES)
def test_kernels_run_on_this_gpu(module: str) -> None:
    assert kernels(module) is not None


@pytest.mark.gpu
@needs_triton
@pytest.mark.parametrize("case", [ATTENTION[-1], ATTENTION[3]], ids=str)
def test_attention_uses_its_kernels_and_repeats_bitwise(case: Case) -> None:
    sentences, heads, targets, sources, width = case.sizes
    torch.manual_seed(0)
    query, keys, values = (
        torch.randn(sentences, heads, length, width, device="cuda", dtype=torch.bfloat16, requires_grad=True)
        for length in (targets, sources, sources)
    )
    found = []
    for _ in range(2):
        context, _ = scaled_dot_product(query, keys, values)
        assert type(context.grad_fn).__name__ == "_AttentionBackward"
        found.append(torch.autograd.grad(context.float().square().sum(), (query, keys, values)))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.gpu
@needs_triton
def test_long_texts_use_torchs_attention() -> None:
    query = torch.randn(2, 2, 65, 64, device="cuda", dtype=torch.bfloat16)
    context, _ = scaled_dot_product(query, query, query)
    assert torch.equal(context, F.scaled_dot_product_attention(query, query, query))


@pytest.mark.gpu
@needs_triton
def test_layer_norm_uses_its_kernels_only_under_autocast() -> None:
    layer, states = LayerNorm(dim=96, for_products=True).cuda(), torch.randn(7, 96, device="cuda")
    plain = layer(states)
    assert plain.dtype is torch.float32
    with torch.autocast("cuda", torch.bfloat16):
        rounded = layer(states)
    assert rounded.dtype is torch.bfloat16
    assert (rounded - plain).abs().max() < 0.02


@pytest.mark.gpu
@needs_triton
def test_the_loss_never_stores_the_logits_in_fp32() -> None:
    logits = torch.randn(4096, 10000, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    targets = torch.randint(0, 10000, (4096,), device="cuda")
    cross_entropy(logits, targets, 0.1)[0].backward()
    logits.grad = None
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    cross_entropy(logits, targets, 0.1)
    assert torch.cuda.max_memory_allocated() - before < 1.1 * logits.numel() * logits.element_size()
