"""Recurrent layers that run whole sequences in the fused kernel, or step by step, with the same weights.

LSTM: Hochreiter and Schmidhuber (1997) with forget gates (Gers et al. 2000). GRU: Cho et al. (2014), arXiv:1406.1078,
with the reset gate after the recurrent product, as cuDNN computes it.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from seq2seq.layers.dropout import Dropout, dropout
from seq2seq.layers.loop_linear import LoopLinear
from seq2seq.layers.modules import Layers

Cell = Literal["lstm", "gru"]
CellState = tuple[Tensor, ...]  # (hidden, cell) of an LSTM, (hidden,) of a GRU; each [N D]


class RecurrentLayer(nn.Module):
    """One uni-directional layer. Shapes: inputs [N T I], outputs [N T D], state [N D].

    `weight_dropout` drops recurrent weights (DropConnect: Merity et al. 2018, arXiv:1708.02182): those chosen by
    `drop_weights`, otherwise new ones in each forward pass.
    """

    def __init__(self, *, cell: Cell, input_dim: int, hidden_size: int, weight_dropout: float) -> None:
        super().__init__()
        self.is_lstm = cell == "lstm"
        self.hidden_size = hidden_size
        self.weight_dropout = weight_dropout
        kernel = nn.LSTM if self.is_lstm else nn.GRU
        self.kernel: Any = kernel(input_dim, hidden_size, batch_first=True)  # torch types its weights as modules
        self._kept: Tensor | None = None
        self._initialise()

    def _initialise(self) -> None:
        """Glorot for the inputs, orthogonal for the recurrence, forget bias 1 (Jozefowicz et al. 2015)."""
        for name, parameter in self.kernel.named_parameters():
            gates = parameter.detach().chunk(4 if self.is_lstm else 3)
            for gate in gates:
                if name.startswith("weight_ih"):
                    nn.init.xavier_uniform_(gate)
                elif name.startswith("weight_hh"):
                    nn.init.orthogonal_(gate)
                else:
                    nn.init.zeros_(gate)
            if self.is_lstm and name.startswith("bias_ih"):
                nn.init.ones_(gates[1])

    def stacked_rows(self) -> dict[str, list[int]]:
        """One matrix per gate."""
        gates = [self.hidden_size] * (4 if self.is_lstm else 3)
        return {"kernel.weight_ih_l0": gates, "kernel.weight_hh_l0": gates}

    def recurrent_weight(self) -> Float[Tensor, "G D"]:
        """The hidden-to-hidden weights of this forward pass, some of them dropped in training."""
        weight: Tensor = self.kernel.weight_hh_l0
        if self._kept is None or not self.training:
            return dropout(weight, self.weight_dropout, self.training)
        return weight * self._kept

    def drop_weights(self, seed: int) -> None:
        """Choose which weights are dropped from now on, by `seed`. The mask is written in place, so that CUDA graphs
        see it."""
        if not self.weight_dropout:
            return
        weight, kept = self.kernel.weight_hh_l0, 1 - self.weight_dropout
        if self._kept is None or self._kept.device != weight.device or self._kept.dtype != weight.dtype:
            self._kept = torch.empty_like(weight, requires_grad=False)
        random = torch.Generator(weight.device).manual_seed(seed)
        self._kept.bernoulli_(kept, generator=random).div_(kept)

    def zero_state(self, rows: int) -> CellState:
        """The all-zero first state for `rows` sequences."""
        zeros = self.kernel.weight_hh_l0.new_zeros(rows, self.hidden_size)
        return (zeros, zeros) if self.is_lstm else (zeros,)

    def forward(self, inputs: Float[Tensor, "N T I"], state: CellState | None = None) -> Float[Tensor, "N T D"]:
        """All steps together; in full precision if the kernel does not support autocast."""
        device = inputs.device.type
        if torch.is_autocast_enabled(device) and not _kernel_rounds(device, torch.get_autocast_dtype(device)):
            with torch.autocast(device, enabled=False):
                return self._run(inputs.to(self.kernel.weight_ih_l0.dtype), state)
        return self._run(inputs, state)

    def _run(self, inputs: Float[Tensor, "N T I"], state: CellState | None) -> Float[Tensor, "N T D"]:
        kernel = self.kernel
        initial = tuple(part.to(inputs.dtype).contiguous()[None] for part in state or self.zero_state(inputs.shape[0]))
        weights = [kernel.weight_ih_l0, self.recurrent_weight(), kernel.bias_ih_l0, kernel.bias_hh_l0]
        if not self.weight_dropout:  # the module's call keeps the weights in the layout that cuDNN needs
            return kernel(inputs, initial if self.is_lstm else initial[0])[0]
        if self.is_lstm:
            return torch.lstm(inputs, initial, weights, True, 1, 0.0, self.training, False, True)[0]
        return torch.gru(inputs, initial[0], weights, True, 1, 0.0, self.training, False, True)[0]

    def project(self, inputs: Float[Tensor, "N T i"]) -> Float[Tensor, "N T G"]:
        """The gates' part from the first input columns, biases included: computed for all steps before a loop."""
        return F.linear(inputs, self.kernel.weight_ih_l0[:, : inputs.shape[-1]], self.bias())

    def bias(self) -> Float[Tensor, " G"]:
        """The gates' bias; a GRU's recurrent bias stays with its recurrent product."""
        kernel = self.kernel
        return kernel.bias_ih_l0 + kernel.bias_hh_l0 if self.is_lstm else kernel.bias_ih_l0

    def loop_weights(self, first: int) -> "LoopWeights":
        """Weights for the `step`s of one forward pass; their inputs are the columns from `first` on."""
        kernel = self.kernel
        inputs, recurrent = kernel.weight_ih_l0[:, first:], self.recurrent_weight()
        if self.is_lstm:
            return LoopWeights(_in_loop(torch.cat((inputs, recurrent), 1)), None, None)
        product = _in_loop(recurrent)
        return LoopWeights(_in_loop(inputs), product, kernel.bias_hh_l0.to(product.dtype))

    def step(
        self,
        gates: Float[Tensor, "#N G"],
        inputs: Float[Tensor, "N i"] | None,
        state: CellState,
        weights: "LoopWeights",
    ) -> CellState:
        """One step: `gates` from `project`, plus the parts of this step's `inputs` and of the state."""
        if self.is_lstm:
            joined = state[0] if inputs is None else torch.cat((inputs, state[0].to(inputs.dtype)), -1)
            return _lstm_step(gates + weights.inputs(joined), state[1])
        assert weights.recurrent is not None and weights.recurrent_bias is not None
        if inputs is not None:
            gates = gates + weights.inputs(inputs)
        return _gru_step(gates, weights.recurrent(state[0]) + weights.recurrent_bias, state[0])


@cache
def _kernel_rounds(device: str, dtype: torch.dtype) -> bool:
    """Whether the fused kernel supports autocast: on a GPU it would run in fp16, whose sums may overflow, and a CPU has
    an LSTM in bf16 alone, with AVX512."""
    return device == "cpu" and dtype is torch.bfloat16 and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@dataclass(frozen=True)
class LoopWeights:
    """A layer's weights, sliced and rounded once for a whole loop. An LSTM's two products are one: `inputs` has both
    and `recurrent` is None; a GRU's are separate, because the reset gate is between them."""

    inputs: LoopLinear
    recurrent: LoopLinear | None
    recurrent_bias: Float[Tensor, " G"] | None


def _in_loop(weight: Float[Tensor, "G i"]) -> LoopLinear:
    """Rounded as by autocast, but once: autocast does not cache slices, and would round them at every step."""
    device = weight.device.type
    return LoopLinear(weight.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else weight)


def _lstm_step(gates: Float[Tensor, "N G"], cell: Float[Tensor, "N D"]) -> CellState:
    """c' = f c + i g and h' = o tanh(c'), the gates in the order i f g o."""
    input_gate, forget_gate, candidate, output_gate = gates.chunk(4, -1)
    cell = forget_gate.sigmoid() * cell + input_gate.sigmoid() * candidate.tanh()
    return output_gate.sigmoid() * cell.tanh(), cell


def _gru_step(gates: Float[Tensor, "#N G"], recurrent: Float[Tensor, "N G"], hidden: Float[Tensor, "N D"]) -> CellState:
    """h' = (1 - z) n + z h with n = tanh(x_n + r h_n), the gates in the order r z n."""
    size = hidden.shape[-1]
    reset, update = (gates[:, : 2 * size] + recurrent[:, : 2 * size]).sigmoid().chunk(2, -1)
    candidate = (gates[:, 2 * size :] + reset * recurrent[:, 2 * size :]).tanh()
    return (candidate + update * (hidden - candidate),)


class RecurrentStack(nn.Module):
    """Stacked layers, with dropout and optional residual connections between them.

    Shapes: inputs [N T I], outputs [N T D]; a state is one CellState per layer.
    """

    def __init__(
        self,
        *,
        cell: Cell,
        input_dim: int,
        hidden_size: int,
        layers: int,
        dropout: float,
        weight_dropout: float,
        residual: bool,
    ) -> None:
        super().__init__()
        widths = (input_dim if number == 0 else hidden_size for number in range(layers))
        self.layers = Layers(
            RecurrentLayer(cell=cell, input_dim=width, hidden_size=hidden_size, weight_dropout=weight_dropout)
            for width in widths
        )
        self.dropout = Dropout(dropout)
        self.residual = residual

    @property
    def state_parts(self) -> int:
        """Tensors in the state of one layer."""
        return 2 if self.layers[0].is_lstm else 1

    def forward(self, inputs: Float[Tensor, "N T I"], state: tuple[CellState, ...]) -> Float[Tensor, "N T D"]:
        """All steps together, from `state`."""
        outputs = self.layers[0](inputs, state[0])
        for layer, layer_state in zip(self.layers[1:], state[1:], strict=True):
            above = layer(self.dropout(outputs), layer_state)
            outputs = outputs + above if self.residual else above
        return outputs

    def loop_weights(self, first: int) -> list[LoopWeights]:
        """Weights for a loop of `step`s, one per layer; the first layer's projected columns end before `first`."""
        return [layer.loop_weights(first if number == 0 else 0) for number, layer in enumerate(self.layers)]

    def step(
        self,
        gates: Float[Tensor, "N G"],
        inputs: Float[Tensor, "N i"] | None,
        state: tuple[CellState, ...],
        weights: list[LoopWeights],
    ) -> tuple[Float[Tensor, "N D"], tuple[CellState, ...]]:
        """One step: the first layer's projected gates, its other inputs, the state -> output and new state."""
        new = [self.layers[0].step(gates, inputs, state[0], weights[0])]
        outputs = new[0][0]
        for layer, layer_state, weight in zip(self.layers[1:], state[1:], weights[1:], strict=True):
            new.append(layer.step(layer.bias().unsqueeze(0), self.dropout(outputs), layer_state, weight))
            outputs = outputs + new[-1][0] if self.residual else new[-1][0]
        return outputs, tuple(new)


def reversal(lengths: Int[Tensor, " N"], size: int) -> Int[Tensor, "N T"]:
    """The index that reverses each row's real positions and leaves its padding in place (its own inverse)."""
    position = torch.arange(size, device=lengths.device).expand(lengths.shape[0], size)
    last = lengths.unsqueeze(1) - 1
    return torch.where(position <= last, last - position, position)


def reorder(states: Float[Tensor, "N T D"], index: Int[Tensor, "N T"]) -> Float[Tensor, "N T D"]:
    """Each row's positions in the order of `index`."""
    return states.gather(1, index.unsqueeze(-1).expand(-1, -1, states.shape[-1]))
