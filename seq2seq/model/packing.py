"""A trained model's large products packed for inference on a CPU (seq2seq/layers/packed_linear.py)."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import TypeVar

import torch
from torch import Tensor, nn

from seq2seq.attention.multihead import MultiHeadAttention
from seq2seq.decoder.carrying import CarryingBlock
from seq2seq.feed_forward.base import FeedForward
from seq2seq.feed_forward.plain import PlainFeedForward
from seq2seq.generator.softmax import SoftmaxGenerator
from seq2seq.layers.packed_linear import Int8Linear, PackedLinear, PostOp, Quantization, packing_works
from seq2seq.runtime.device import Runtime
from seq2seq.self_attention.full import FullSelfAttention

# The modules whose linear maps are packed.
HOLDERS = (FullSelfAttention, CarryingBlock, MultiHeadAttention, FeedForward, SoftmaxGenerator)

Range = tuple[float, float]
Ranges = Mapping[str, Range]  # of the inputs of linear maps, by their names in the model
Net = TypeVar("Net", bound=nn.Module)


def for_search(model: Net, runtime: Runtime) -> Net:
    """A model as search uses it: on a CPU with packed products, unless it is in int8, which are packed.

    In fp32 only with AVX-512: on other processors torch's own products are as fast. Never in fp16, which is for GPUs.
    """
    if runtime.device.type != "cpu" or runtime.int8:
        return model
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    pays = runtime.dtype is torch.bfloat16 or (runtime.dtype is torch.float32 and wide)
    return packed(model, runtime.dtype) if pays else model


def packed(model: Net, dtype: torch.dtype) -> Net:
    """A copy of a model on a CPU for search, with packed products in `dtype`; all other tensors are shared. The model
    itself where there are no such kernels."""
    if not packing_works():
        return model
    tensors = [*model.parameters(), *model.buffers()]
    copy = deepcopy(model, {id(tensor): tensor for tensor in tensors})
    _replace(copy, lambda name, linear, post_op, after: PackedLinear.of(linear, dtype, post_op))
    return copy


def to_int8(model: nn.Module, ranges: Ranges) -> None:
    """Round the weights of a Transformer's linear maps and of any output layer, with a scale for each row, and their
    inputs to these `ranges`. Embeddings and recurrent cells are not rounded."""

    def rounded(name: str, linear: nn.Linear, post_op: PostOp, after: str | None) -> nn.Module:
        outputs = None if after is None else Quantization.of(*ranges[after])
        return Int8Linear.of(linear, Quantization.of(*ranges[name]), outputs, post_op)

    _replace(model, rounded)


@contextmanager
def observed_ranges(model: nn.Module) -> Iterator[dict[str, Range]]:
    """The ranges of the inputs that `to_int8` rounds, of all passes within this context."""
    ranges: dict[str, Range] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def look(linear: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            low, high = ranges.get(name, (0.0, 0.0))
            ranges[name] = (min(low, inputs[0].min().item()), max(high, inputs[0].max().item()))

        return look

    hooks = [linear.register_forward_pre_hook(watch(name)) for _, _, name, linear in _linear_maps(model)]
    try:
        yield ranges
    finally:
        for hook in hooks:
            hook.remove()


def range_names(model: nn.Module) -> list[str]:
    """The names of the linear maps whose inputs are rounded."""
    return [name for _, _, name, _ in _linear_maps(model)]


def _replace(model: nn.Module, make: Callable[[str, nn.Linear, PostOp, str | None], nn.Module]) -> None:
    """Each linear map by make(name, itself, what follows, the name of the map that reads its outputs): ReLU is part of
    the product before it."""
    maps = list(_linear_maps(model))
    for holder, child, name, linear in maps:
        fuses = isinstance(holder, PlainFeedForward) and child == "widen" and isinstance(holder.activation, nn.ReLU)
        after = f"{name.removesuffix('widen')}narrow" if fuses else None
        setattr(holder, child, make(name, linear, "relu" if fuses else "none", after))
        if fuses:
            holder.activation, holder.dropout = nn.Identity(), nn.Identity()


def _linear_maps(model: nn.Module) -> Iterator[tuple[nn.Module, str, str, nn.Linear]]:
    """Each with its holder, its name in it, and its name in the model."""
    for place, holder in model.named_modules():
        if isinstance(holder, HOLDERS):
            for child, linear in list(holder.named_children()):
                if type(linear) is nn.Linear:
                    yield holder, child, f"{place}.{child}", linear
