"""From a module to an ONNX graph, by torch's exporter, with operators that it lacks or computes less exactly."""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.errors import ConfigError, is_out_of_memory

Axes = Mapping[int, str]


def save_graph(
    path: Path, module: nn.Module, inputs: Mapping[str, tuple[Tensor, Axes]], outputs: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Write the graph of a module that takes a tuple of tensors and returns another; the types and shapes of its inputs
    and outputs, by name. Inputs that it does not use are left out.

    `inputs` are examples by name, with the names of the axes that vary. Raises ConfigError if torch cannot export it.
    """
    examples, all_axes = zip(*inputs.values(), strict=True)
    # Named dimensions would have to be proved equal to sums and quotients of others; the names only label the axes.
    varying = tuple(dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in all_axes)
    labels = tuple({axis: torch.export.Dim(name) for axis, name in axes.items()} for axes in all_axes)
    with quiet(), torch.no_grad():
        try:
            traced = torch.export.export(module, (examples,), dynamic_shapes=(varying,), strict=False)
            program: Any = torch.onnx.export(
                traced,
                dynamo=True,
                verbose=False,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=(labels,),
                custom_translation_table=_translations(),
            )
        except Exception as error:  # of a user's own part, whatever it does
            if is_out_of_memory(error):
                raise
            reason = str(error.__cause__ or error).strip().partition("\n")[0]
            raise ConfigError(f"format=onnx: torch cannot export this model ({path.name}): {reason}") from error
        graph = program.model.graph
        _strip(graph)
        program.save(path)
    return {side: {value.name: _described(value) for value in getattr(graph, side)} for side in ("inputs", "outputs")}


def _described(value: Any) -> dict[str, Any]:
    """A tensor's type, and its shape with names for the axes that vary."""
    shape = [size if isinstance(size, int) else str(size.value) for size in value.shape]
    return {"type": str(value.dtype.numpy()), "shape": shape}


def _strip(graph: Any) -> None:
    """Remove inputs that nothing uses, and what the exporter notes about the places in our code."""
    for value in list(graph.inputs):
        if not value.uses() and not value.is_graph_output():
            graph.inputs.remove(value)
    for node in graph.all_nodes():
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings and messages of exporters, which are about their own future."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Operators of torch in ONNX operators. The exporter has no cummax; its own versions of the others lose everything
    whose exponential rounds to 0."""
    from onnxscript import opset18 as op

    def log_sigmoid(states: Any) -> Any:
        return op.Neg(op.Softplus(op.Neg(states)))

    def logaddexp(one: Any, other: Any) -> Any:
        larger = op.Add(op.Max(one, other), op.Softplus(op.Neg(op.Abs(op.Sub(one, other)))))
        equal = op.Add(one, op.CastLike(op.Log(op.Constant(value_float=2.0)), one))  # also of -inf and -inf
        return op.Where(op.Equal(one, other), equal, larger)

    def prefixes(rows: Any, nothing: Any) -> Any:
        """[... S] -> [... S S]: row s has the elements up to s, then `nothing`."""
        size = op.Squeeze(op.Shape(rows, start=-1), [0])
        places = op.Range(op.Constant(value_int=0), size, op.Constant(value_int=1))
        inside = op.LessOrEqual(op.Unsqueeze(places, [0]), op.Unsqueeze(places, [1]))
        return op.Where(inside, op.Unsqueeze(rows, [-2]), op.CastLike(nothing, rows))

    def logcumsumexp(rows: Any, dim: int) -> Any:
        parts = prefixes(rows, op.Constant(value_float=float("-inf")))
        largest = op.ReduceMax(parts, [-1], keepdims=1)
        total = op.Log(op.ReduceSum(op.Exp(op.Sub(parts, largest)), [-1], keepdims=1))
        return op.Squeeze(op.Add(total, largest), [-1])

    def cummax(rows: Any, dim: int) -> Any:
        parts = prefixes(rows, op.Constant(value_int=-(2**62)))
        return op.ReduceMax(parts, [-1], keepdims=0), op.ArgMax(parts, axis=-1, keepdims=0, select_last_index=1)

    aten: Any = torch.ops.aten
    return {
        aten.log_sigmoid.default: log_sigmoid,
        aten.logaddexp.default: logaddexp,
        aten.logcumsumexp.default: logcumsumexp,
        aten.cummax.default: cummax,
    }
