"""Linear maps for inference on a CPU, with their weights packed once for oneDNN's kernels: in fp32 or bf16, or in 8-bit
integers with fixed scales (Jacob et al. 2018, arXiv:1712.05877, section 2)."""

from dataclasses import dataclass
from typing import Literal, cast

import torch
from jaxtyping import Float, Int, Int8, UInt8
from torch import Tensor, nn

PostOp = Literal["none", "relu"]
ROWS = 256  # for which the weights are packed: about as many as a step of a batch has


def packing_works() -> bool:
    """Whether this PyTorch and this processor have the kernels."""
    names = ("mkldnn._linear_pointwise", "mkldnn._reorder_linear_weight", "onednn.qlinear_pointwise")
    found = (getattr(getattr(torch.ops, package), name, None) for package, name in (one.split(".") for one in names))
    return torch.backends.mkldnn.is_available() and all(found)


class PackedLinear(nn.Module):
    """post_op(x W' + b): the products in `dtype`, inputs and outputs in fp32. Shapes: [... i] -> [... o].

    `weight` is the unpacked one.
    """

    def __init__(
        self,
        weight: Float[Tensor, "o i"],
        bias: Float[Tensor, " o"] | None,
        dtype: torch.dtype,
        post_op: PostOp = "none",
    ) -> None:
        super().__init__()
        self.weight = weight
        self.bias = bias
        self.dtype = dtype
        self.post_op = post_op
        self._bias = None if bias is None else bias.to(dtype)
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype).contiguous(), ROWS)

    @classmethod
    def of(cls, linear: nn.Linear, dtype: torch.dtype, post_op: PostOp = "none") -> "PackedLinear":
        """A linear map packed."""
        return cls(linear.weight.detach(), _detached(linear.bias), dtype, post_op)

    def forward(self, states: Float[Tensor, "*N i"]) -> Float[Tensor, "*N o"]:
        """The product."""
        states = states.to(self.dtype)
        product = torch.ops.mkldnn._linear_pointwise(states, self._packed, self._bias, self.post_op, [], "")
        return cast(Tensor, product.float())

    def among(self, ids: Int[Tensor, " n"]) -> "PackedLinear":
        """The map to these outputs alone."""
        return PackedLinear(self.weight[ids], _chosen(self.bias, ids), self.dtype, self.post_op)


@dataclass(frozen=True)
class Quantization:
    """x is about scale * (q - zero_point), with q from 0 to `levels`."""

    scale: float
    zero_point: int
    levels: int

    @classmethod
    def of(cls, low: float, high: float) -> "Quantization":
        """For numbers from `low` to `high`, zero among them.

        Without VNNI instructions sums of two products are kept in 16 bits: there are 7 bits for q, so that none
        overflows.
        """
        low, high = min(low, 0.0), max(high, 0.0)
        levels = 255 if torch.cpu._is_vnni_supported() else 127
        scale = max(high - low, 1e-9) / levels
        return cls(scale, round(-low / scale), levels)

    def quantize(self, states: Float[Tensor, "*N i"]) -> UInt8[Tensor, "*N i"]:
        """Rounded; numbers outside of the range become its ends."""
        shifted = torch.add(states.new_tensor(self.zero_point - 128.0), states, alpha=1 / self.scale)
        rounded = shifted.round_().clamp_(-128, self.levels - 128).to(torch.int8)
        return rounded.view(torch.uint8).bitwise_xor_(128)  # torch is slow to convert to uint8 itself


class Int8Linear(nn.Module):
    """x W' + b with x and W in 8 bits: W with a scale for each row, x with the fixed one of `inputs`, so that no row
    depends on another. Shapes: [... i] -> [... o].

    Inputs may be quantised already, as the outputs are if `outputs` is given, with `post_op` before.
    """

    def __init__(
        self,
        weight: Int8[Tensor, "o i"],
        scales: Float[Tensor, " o"],
        bias: Float[Tensor, " o"] | None,
        inputs: Quantization,
        outputs: Quantization | None = None,
        post_op: PostOp = "none",
    ) -> None:
        super().__init__()
        self.weight = weight
        self.scales = scales
        self.bias = bias
        self.inputs = inputs
        self.outputs = outputs
        self.post_op = post_op
        self._zero_points = torch.zeros(len(weight), dtype=torch.int32)
        self._packed = torch.ops.onednn.qlinear_prepack(weight, None)

    @classmethod
    def of(
        cls, linear: nn.Linear, inputs: Quantization, outputs: Quantization | None = None, post_op: PostOp = "none"
    ) -> "Int8Linear":
        """A linear map with its weights rounded."""
        scales = linear.weight.detach().abs().amax(1).clamp_min(1e-9) / 127
        weight = (linear.weight.detach() / scales.unsqueeze(1)).round().to(torch.int8)
        return cls(weight, scales, _detached(linear.bias), inputs, outputs, post_op)

    def forward(self, states: Tensor) -> Tensor:
        """The product."""
        quantized = states if states.dtype is torch.uint8 else self.inputs.quantize(states)
        scale, zero_point = (1.0, 0) if self.outputs is None else (self.outputs.scale, self.outputs.zero_point)
        product = torch.ops.onednn.qlinear_pointwise(
            quantized,
            self.inputs.scale,
            self.inputs.zero_point,
            self._packed,
            self.scales,
            self._zero_points,
            self.bias,
            scale,
            zero_point,
            torch.float32 if self.outputs is None else torch.uint8,
            self.post_op,
            [],
            "",
        )
        return cast(Tensor, product)

    def among(self, ids: Int[Tensor, " n"]) -> "Int8Linear":
        """The map to these outputs alone."""
        bias = _chosen(self.bias, ids)
        return Int8Linear(self.weight[ids], self.scales[ids], bias, self.inputs, self.outputs, self.post_op)


def _chosen(bias: Float[Tensor, " o"] | None, ids: Int[Tensor, " n"]) -> Float[Tensor, " n"] | None:
    return None if bias is None else bias[ids]


def _detached(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.detach()
