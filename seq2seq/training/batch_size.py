"""trainer.tokens_per_batch=auto: the largest micro-batches that fit into memory, found before the first update."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from seq2seq.data.updates import PairIds
from seq2seq.errors import is_out_of_memory
from seq2seq.runtime.available_memory import available_memory
from seq2seq.runtime.memory import MIB, free_caches
from seq2seq.runtime.torchrun import place
from seq2seq.training.trainer import Trainer

SMALL = 512  # tokens of the batches from which the cost of a token is measured on a CPU
PEAK = 1.3  # times what is kept for the backward pass: measured were 0.7 (LSTM) to 1.3 (Transformer, small batches)
MARGIN = 0.1  # of the memory that stays free: other batches, fragments, other programs
KERNELS = 400 * MIB  # that oneDNN compiles on a CPU and keeps: see keep_few_kernels
ADAM = 2  # tensors that an optimizer keeps for each parameter

log = logging.getLogger(__name__)


def settle_batch_size(trainer: Trainer) -> None:
    """With trainer.tokens_per_batch=auto: the run's number, which its state has from the first session on. Of several
    processes it is the smallest of all. Neither random numbers nor gradients change."""
    if trainer.settings.tokens_per_batch != "auto":
        return
    state = trainer.state
    if state.tokens_per_batch is None:
        devices = [trainer.runtime.device] if trainer.runtime.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            size, why = Probe(trainer).largest()
        state.tokens_per_batch = int(-trainer.world.all_reduce_max(-size))
        log.info("trainer.tokens_per_batch=auto is %s: %s", f"{state.tokens_per_batch:,}", why)
    trainer.updater.micro_batches.tokens_per_batch = state.tokens_per_batch
    trainer.validator.batches.tokens_per_batch = state.tokens_per_batch


class Probe:
    """Forward and backward passes over the largest micro-batches that a training can have."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.updater = trainer.updater
        self.device = trainer.runtime.device
        self.model = trainer.strategy.model.train()
        self.learning = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.corpus = trainer.updates.data.corpora["train"]
        self.longest = np.maximum(self.corpus.source_lengths, self.corpus.target_lengths) + 1
        self.updater.micro_batches.open(self.corpus)
        self.updater.forward_backward.begin(0, 1)

    def largest(self) -> tuple[int, str]:
        """The largest number of tokens that fits, a power of two, and why it is this one."""
        sizes = self.sizes()
        return self._tried(sizes) if self.device.type == "cuda" else self._estimated(sizes)

    def sizes(self) -> list[int]:
        """Powers of two, falling: from one that holds a whole update down to one that holds the longest pair."""
        settings = self.trainer.settings
        update = settings.tokens_per_update * (2 if settings.count == "target" else 1)
        least = _power_above(int(self.longest.max()))
        sizes = [max(_power_above(update), least)]
        while sizes[-1] > least:
            sizes.append(sizes[-1] // 2)
        return sizes

    def worst(self, size: int) -> Iterator[PairIds]:
        """The micro-batches of this many tokens that may need most: of pairs with both sides long, of long targets, and
        many of middle length."""
        source, target = (
            lengths.astype(np.int64) + 1 for lengths in (self.corpus.source_lengths, self.corpus.target_lengths)
        )
        by_length = np.argsort(-self.longest, kind="stable")
        for order in (
            np.argsort(-source * target, kind="stable"),
            np.argsort(-target, kind="stable"),
            by_length[len(by_length) // 2 :],
        ):
            area = np.maximum.accumulate(self.longest[order]) * np.arange(1, len(order) + 1)
            yield order[: max(1, int((area <= size).sum()))]

    def passes(self, rows: PairIds) -> None:
        """A forward and a backward pass; the gradients are not kept."""
        batch = self.updater.micro_batches.batch(rows, None)
        with self.trainer.runtime.autocast():
            total = self.updater.objective(self.model, batch).total
        torch.autograd.grad(total, self.learning, allow_unused=True)

    def kept_bytes(self, rows: PairIds) -> int:
        """What a forward pass keeps for the backward pass, without the parameters."""
        own = {parameter.untyped_storage().data_ptr() for parameter in self.model.parameters()}
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            self.passes(rows)
        return sum(kept.values())

    def _estimated(self, sizes: Sequence[int]) -> tuple[int, str]:
        """On a CPU, where a system may end a process that takes too much: by the cost of a token in small batches."""
        cost = max(self.kept_bytes(rows) / self._area(rows) for rows in self.worst(max(SMALL, int(self.longest.max()))))
        room = (available_memory() / place().local_size - self._unallocated() - KERNELS) * (1 - MARGIN)
        size = next((size for size in sizes if PEAK * cost * size <= room), sizes[-1])
        per_token = PEAK * cost / MIB
        return size, f"a token takes about {per_token:.2f} MiB, and {max(0, room) / MIB:,.0f} MiB are free"

    def _tried(self, sizes: Sequence[int]) -> tuple[int, str]:
        """On a GPU: by trying, training and then the decoding of the validation set."""
        spare = int(MARGIN * torch.cuda.mem_get_info(self.device)[1]) + self._unallocated()
        for size in sizes[:-1]:
            if self._fits(size, spare):
                return size, "the largest that fits into the memory of the GPU"
        return sizes[-1], "the least that holds the longest pair"

    def _fits(self, size: int, spare: int) -> bool:
        with self._freed_after():
            try:
                held = torch.empty(spare, dtype=torch.uint8, device=self.device)
                for rows in self.worst(size):
                    self.passes(rows)
                self.trainer.validator.decode_longest(self.model, size)
                return held is not None
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                return False

    @contextmanager
    def _freed_after(self) -> Iterator[None]:
        try:
            yield
        finally:
            free_caches(self.device)

    def _unallocated(self) -> int:
        """Bytes of gradients, and of the optimizer's state where it has none yet."""
        trained = sum(parameter.numel() * parameter.element_size() for parameter in self.learning)
        return trained * (1 if self.updater.optimizer.state else 1 + ADAM)

    def _area(self, rows: PairIds) -> int:
        return len(rows) * int(self.longest[rows].max())


def _power_above(number: int) -> int:
    """The smallest power of two that is no less."""
    return 1 << (number - 1).bit_length()
