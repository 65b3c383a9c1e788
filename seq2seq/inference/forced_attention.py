"""The attention weights of given targets (teacher forcing)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from seq2seq.data.batches import by_length, collate_sources
from seq2seq.model.model import Model
from seq2seq.runtime.device import Runtime
from seq2seq.search.decode import evaluating
from seq2seq.types import BOS, PAD, Attended, Weights

END = "</s>"  # the label of the end symbol in figures


@dataclass(frozen=True)
class Forced:
    """The attention weights of one target: [H T S] for each layer with attention.

    Row t is the step that predicts target token t, the end symbol last. Column s is a source token, the end symbol
    last, or a state of the memory if that is `pooled`. Attention sees `visible` of the columns: an encoder may hide the
    end symbol.
    """

    layers: tuple[Float[Tensor, "H T S"], ...]
    pooled: bool
    visible: int

    @property
    def maps(self) -> int:
        """Heads of all layers."""
        return sum(len(heads) for heads in self.layers)

    def columns(self, pieces: Sequence[str]) -> list[str]:
        """The names of the columns: the source's pieces and the end symbol, or the numbers of the pooled states, from
        1."""
        if self.pooled:
            return [str(slot + 1) for slot in range(self.layers[-1].shape[-1])]
        return [*pieces, END]


def force(
    model: Model,
    sources: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    runtime: Runtime,
    tokens_per_batch: int,
    on_batch: Callable[[int], None] | None = None,
    target_start: Sequence[int] = (),
) -> Iterator[tuple[int, Forced]]:
    """Each sentence's number and its weights, batched by length, the longest first (ids without end symbols).

    Search does not keep weights: teacher forcing of its result gives the same ones. A sentence without source tokens is
    skipped. A batch has at most `tokens_per_batch` positions of the longer side. `on_batch` is called with the number
    of sentences of each batch. The targets follow `target_start`, whose weights are left out. The model is in eval mode
    meanwhile.
    """
    full = np.array([i for i, source in enumerate(sources) if len(source)], dtype=np.int64)
    lengths = np.array([max(len(sources[i]), len(targets[i])) for i in full], dtype=np.int64)
    for rows in by_length(lengths, tokens_per_batch):
        chosen = full[rows].tolist()
        begun = [[*target_start, *targets[i]] for i in chosen]
        found = _force([sources[i] for i in chosen], begun, len(target_start), model, runtime)
        yield from zip(chosen, found, strict=True)
        if on_batch is not None:
            on_batch(len(rows))


def _force(
    sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]], first: int, model: Model, runtime: Runtime
) -> list[Forced]:
    """One batch; the weights of each target from token `first` on."""
    source, source_mask = (part.to(runtime.device) for part in collate_sources(sources))
    target_out, target_mask = (part.to(runtime.device) for part in collate_sources(targets))
    target_in = target_out.roll(1, 1)
    target_in[:, 0] = BOS
    target_in[~target_mask] = PAD
    with evaluating(model), runtime.autocast():
        memory = model.encode(source, source_mask)
        decoded = model.decode(target_in, memory, Weights.ALL)
    pooled, visible = memory.tokens is None, memory.mask.sum(1).tolist()
    slots = visible if pooled else source_mask.sum(1).tolist()
    steps = target_mask.sum(1).tolist()
    layers = [weights.float().cpu() for weights in _weights(decoded.attended)]
    return [
        Forced(tuple(heads[row, :, first : steps[row], : slots[row]].clone() for heads in layers), pooled, visible[row])
        for row in range(len(sources))
    ]


def _weights(attended: Sequence[Attended]) -> Iterator[Float[Tensor, "B H T S"]]:
    """For each layer with weights."""
    for answer in attended:
        if answer.weights is not None:
            yield answer.weights
