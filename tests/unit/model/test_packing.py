"""A trained model packed for search on a CPU: the same function in fp32, nearly the same in bf16 and in int8."""

import pytest
import torch
from contract.combinations import Triple, some_batch
from torch import Tensor, nn

from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.errors import ConfigError
from seq2seq.layers.packed_linear import Int8Linear, PackedLinear, Quantization, packing_works
from seq2seq.model.model import Model
from seq2seq.model.packing import observed_ranges, packed, range_names, to_int8
from seq2seq.runtime.device import choose_runtime
from seq2seq.search.beam import BeamSearch
from seq2seq.training.preflight import check
from seq2seq.types import Batch

pytestmark = pytest.mark.skipif(not packing_works(), reason="this PyTorch or processor has no packed products")
TRIPLES = [
    Triple("transformer", "multihead", "transformer"),
    Triple("transformer", "multihead", "transformer", (("distinct_layers", 1),), (("feed_forward", "swiglu"),)),
    Triple("transformer", "multihead", "transformer", (("activation", "gelu"),)),
    Triple("transformer", "grouped_query", "transformer", (), (("self_attention", "windowed"),)),
    Triple("transformer", "multihead", "transformer", (), (("position", "rotary"),)),
    Triple("transformer", "multihead", "ssru"),
    Triple("transformer", "multihead", "average"),
    Triple("transformer", "multihead", "lstm", (("attend", "before"), ("input_feeding", True))),
    Triple("lstm", "bahdanau", "lstm", (("attend", "before"), ("input_feeding", True))),
    Triple("gru", "luong_concat", "gru", (("attend", "after"), ("input_feeding", False)), (("generator", "pointer"),)),
]
every_triple = pytest.mark.parametrize("triple", TRIPLES, ids=str)
SEARCH = BeamSearch(beam_size=3, length_penalty=1.0, max_length=9, max_length_ratio=1.0)


def a_model(triple: Triple, tie: str = "none") -> Model:
    changes = {} if ("generator", "pointer") in triple.others and tie == "none" else {"tie": tie}
    return triple.model(**changes).float().eval()


def in_int8(model: Model, *batches: Batch) -> None:
    """Rounded for these batches."""
    with observed_ranges(model) as ranges:
        for batch in batches:
            model.log_probs(batch)
    to_int8(model, ranges)


@every_triple
@torch.no_grad()
def test_fp32_stays_fp32(triple: Triple) -> None:
    model, batch = a_model(triple), some_batch([6, 1, 4], [3, 5, 0])
    other = packed(model, torch.float32)
    difference = (other.log_probs(batch) - model.log_probs(batch))[batch.target_mask].abs()
    assert difference.max() < 1e-5
    ours, theirs = (SEARCH(one, batch.source, batch.source_mask) for one in (model, other))
    assert [[each.tokens for each in found] for found in ours] == [[each.tokens for each in found] for found in theirs]


@every_triple
@torch.no_grad()
def test_bf16_is_at_least_as_exact_as_autocast(triple: Triple) -> None:
    model, batch = a_model(triple), some_batch([6, 1, 4], [3, 5, 0])
    exact = model.log_probs(batch)[batch.target_mask]
    other = packed(model, torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        usual, found = (one.log_probs(batch)[batch.target_mask] for one in (model, other))
        assert [len(each) for each in SEARCH(other, batch.source, batch.source_mask)] == [3, 3, 3]
    assert (found - exact).abs().mean() < 1.3 * (usual - exact).abs().mean() + 1e-6


@pytest.mark.parametrize("tie", ["none", "all"])
@every_triple
@torch.no_grad()
def test_int8_changes_log_probabilities_a_little_and_search_works(triple: Triple, tie: str) -> None:
    model, batch = a_model(triple, tie), some_batch([6, 1, 4], [3, 5, 0])
    before = model.log_probs(batch)
    in_int8(model, batch)
    difference = (model.log_probs(batch) - before)[batch.target_mask].abs()
    assert 0 < difference.mean() < 0.05
    assert [len(found) for found in SEARCH(model, batch.source, batch.source_mask)] == [3, 3, 3]


@every_triple
@torch.no_grad()
def test_in_int8_no_sentence_depends_on_the_others_of_its_batch(triple: Triple) -> None:
    model = a_model(triple)
    alone, together = some_batch([4], [5]), some_batch([4, 30, 9], [5, 12, 7])
    for side in ("source", "target_in", "target_out"):
        row = getattr(together, side)
        row[:1, : getattr(alone, side).shape[1]] = getattr(alone, side)
    in_int8(model, together)
    own = model.log_probs(alone)[0]
    assert torch.allclose(model.log_probs(together)[0, : len(own)], own, rtol=0, atol=1e-4)


@torch.no_grad()
def test_the_model_itself_is_not_changed_and_tensors_are_shared() -> None:
    model = a_model(TRIPLES[0])
    names = [name for name, _ in model.named_modules()]
    other = packed(model, torch.bfloat16)
    assert [type(model.get_submodule(name)) for name in names if name.endswith("maps")] == [nn.Linear] * 4
    assert other.encoder.embedding.table.weight is model.encoder.embedding.table.weight
    assert isinstance(other.encoder.layers[0].feed_forward.widen, PackedLinear)


@pytest.mark.parametrize(
    ("decoder", "options", "own"),
    [
        ("transformer", {}, 2),
        ("ssru", {}, 1),
        ("average", {}, 1),
        ("average", {"average_feed_forward": True}, 3),
    ],
)
def test_all_large_linear_layers_of_a_transformer_are_packed(decoder: str, options: dict[str, bool], own: int) -> None:
    """`own` maps are in the block that reads earlier positions."""
    model = a_model(Triple("transformer", "multihead", decoder, tuple(options.items())))
    linear = [module for module in model.modules() if type(module) is nn.Linear]
    other = packed(model, torch.float32)
    left = [name for name, module in other.named_modules() if type(module) is nn.Linear]
    assert left == ["encoder.embedding.adapt", "decoder.embedding.adapt", "generator.adapt"][: len(left)]
    assert len(linear) - len(left) == 2 * 4 + 2 * (own + 4 + 2) + 1
    assert len(range_names(model)) == len(linear) - len(left)


@pytest.mark.parametrize(("low", "high"), [(-3.0, 5.0), (0.0, 7.0), (-2.0, -1.0), (0.5, 0.6), (0.0, 0.0), (-1e4, 1e-3)])
def test_numbers_within_the_range_are_rounded_to_its_levels(low: float, high: float) -> None:
    quantization = Quantization.of(low, high)
    exact = torch.linspace(min(low, 0.0), max(high, 0.0), 1001).reshape(7, 143)
    levels = quantization.quantize(exact)
    assert levels.dtype is torch.uint8
    assert int(levels.max()) <= quantization.levels
    back = quantization.scale * (levels.float() - quantization.zero_point)
    assert (back - exact).abs().max() <= 0.51 * quantization.scale + quantization.scale
    assert (back - exact).abs().mean() <= 0.51 * quantization.scale
    assert int(quantization.quantize(torch.zeros(1))) == quantization.zero_point
    beyond = quantization.quantize(torch.tensor([-1e9, 1e9]))
    assert beyond.tolist() == [0, quantization.levels]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 3, 300])
@torch.no_grad()
def test_the_product_of_integers_is_exact(rows: int, bias: bool) -> None:
    torch.manual_seed(0)
    linear, inputs = nn.Linear(70, 33, bias=bias), torch.randn(rows, 70)
    quantization = Quantization.of(-2.5, 3.0)
    whole = Int8Linear.of(linear, quantization)
    expected = exact_product(whole, quantization, inputs)
    assert torch.allclose(whole(inputs).double(), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(whole(inputs)[:1], whole(inputs[:1]))


@torch.no_grad()
def test_relu_and_rounding_for_the_next_product_are_part_of_a_product() -> None:
    torch.manual_seed(0)
    linear, inputs = nn.Linear(70, 33), torch.randn(40, 70)
    quantization, after = Quantization.of(-2.5, 3.0), Quantization.of(0.0, 1.5)
    fused = Int8Linear.of(linear, quantization, after, "relu")(inputs)
    assert fused.dtype is torch.uint8
    expected = after.quantize(exact_product(Int8Linear.of(linear, quantization), quantization, inputs).float().relu())
    difference = (fused.int() - expected.int()).abs()
    assert difference.max() <= 1  # where the product is halfway between two levels
    assert difference.float().mean() < 0.01


def exact_product(linear: Int8Linear, quantization: Quantization, inputs: Tensor) -> Tensor:
    """In float64."""
    numbers = quantization.scale * (quantization.quantize(inputs).double() - quantization.zero_point)
    product = numbers @ (linear.weight.double() * linear.scales.double().unsqueeze(1)).T
    return product if linear.bias is None else product + linear.bias.double()


def test_weights_take_a_quarter_of_the_bytes() -> None:
    linear = nn.Linear(512, 2048)
    rounded = Int8Linear.of(linear, Quantization.of(-1.0, 1.0))
    assert rounded.weight.nbytes == linear.weight.nbytes / 4


def test_int8_is_only_for_trained_models_on_a_cpu() -> None:
    assert choose_runtime("auto", "int8").precision == "int8"
    assert choose_runtime("cpu", "int8").dtype is torch.float32
    with pytest.raises(ConfigError, match="precision=int8 is for CPUs"):
        choose_runtime("cuda", "int8")
    settings = load_train(compose(CONFIGS, "train", ["precision=int8"]))
    assert check(settings) == ["precision=int8 is for evaluating and translating; train in auto, fp32, bf16 or fp16"]
