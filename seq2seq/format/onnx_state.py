"""A model's state between steps as named tensors: an ONNX graph has no other inputs and outputs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seq2seq.model.model import Model, ModelState
from seq2seq.types import BOS, EOS, State

LONG, SHORT = 128, 64  # source positions of two examples: an axis whose size differs between them is not fixed
SENTENCES = 3


class Leaf(NamedTuple):
    """A tensor in a State, by its path. The axis of hypotheses, which has size 1 in a graph, is left out there."""

    path: str
    tensor: Tensor
    has_hypotheses: bool

    @property
    def in_graph(self) -> Tensor:
        """The tensor as a graph has it: [B ...]."""
        return self.tensor.squeeze(1) if self.has_hypotheses else self.tensor


def leaves(value: Any, path: str = "", part: str = "source") -> Iterator[Leaf]:
    """The tensors of a State: paths are the fields' names, and numbers in tuples, joined by underscores."""
    if isinstance(value, Tensor):
        yield Leaf(path.removeprefix("decoder_"), value, part == "hypothesis")
    elif isinstance(value, State):
        for field in fields(value):
            inner = f"{path}_{field.name}".removeprefix("_")
            yield from leaves(getattr(value, field.name), inner, field.metadata.get("part", "source"))
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from leaves(item, f"{path}_{number}", part)


def with_leaves(value: Any, tensors: Iterator[Tensor], steps: Any, part: str = "source") -> Any:
    """A State like `value` with other tensors, in the order of `leaves` and as graphs have them; its numbers, which are
    counts of steps, become `steps`."""
    if isinstance(value, Tensor):
        return next(tensors).unsqueeze(1) if part == "hypothesis" else next(tensors)
    if isinstance(value, State):
        changed = {
            field.name: with_leaves(getattr(value, field.name), tensors, steps, field.metadata.get("part", "source"))
            for field in fields(value)
        }
        return replace(value, **changed)
    if isinstance(value, tuple):
        return tuple(with_leaves(item, tensors, steps, part) for item in value)
    return steps if isinstance(value, int) else value


@dataclass(frozen=True)
class Layout:
    """The tensors of a model's states, by name.

    `names` are those of all leaves, in order: the same one for tensors that are always one object. Each name in
    `examples` is a different tensor, as it is after two steps. `changing` are those that a step replaces; the others
    depend on the source alone. `axes` are the axes whose sizes vary, by what they count.
    """

    state: ModelState
    names: list[str]
    examples: dict[str, Tensor]
    changing: list[str]
    axes: dict[str, dict[int, str]]

    @classmethod
    def of(cls, model: Model) -> "Layout":
        """From the states of two examples."""
        first, one, two = _examples(model, LONG)
        other = [leaf.in_graph for leaf in leaves(_examples(model, SHORT)[2])]
        names: dict[tuple[int, int], str] = {}
        layout = cls(first, [], {}, [], {})
        for before, after, later, short in zip(leaves(first), leaves(one), leaves(two), other, strict=True):
            name = names.setdefault((id(before.tensor), id(after.tensor)), before.path)
            layout.names.append(name)
            if name != before.path:
                continue
            layout.examples[name] = later.in_graph.clone()
            layout.axes[name] = _axes(after.in_graph, later.in_graph, short)
            if before.tensor is not after.tensor:
                layout.changing.append(name)
        return layout

    def filled(self, tensors: Mapping[str, Tensor], steps: Any) -> ModelState:
        """The state after so many steps, from its tensors by name."""
        filled: ModelState = with_leaves(self.state, iter([tensors[name] for name in self.names]), steps)
        return filled


def tensors_of(state: ModelState) -> dict[str, Tensor]:
    """The tensors of a state by path, as graphs have them."""
    return {leaf.path: leaf.in_graph for leaf in leaves(state)}


def _examples(model: Model, length: int) -> list[ModelState]:
    """The states after no, one and two steps."""
    source = torch.full((SENTENCES, length), EOS)
    states = [model.start(model.encode(source, source == EOS))]
    for _ in range(2):
        states.append(model.step(source[:, :1].clone().fill_(BOS), states[-1])[2])
    return states


def _axes(one: Tensor, two: Tensor, short: Tensor) -> dict[int, str]:
    """The axes that count sentences, positions of the memory and steps."""
    axes = {0: "batch"}
    for axis in range(1, two.dim()):
        if two.shape[axis] != short.shape[axis]:
            axes[axis] = "memory_length"
        elif two.shape[axis] != one.shape[axis]:
            axes[axis] = "past_length"
    return axes
