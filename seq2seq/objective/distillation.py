"""Word-level knowledge distillation: Hinton et al. (2015), arXiv:1503.02531; for sequences Kim and Rush (2016),
arXiv:1606.07947, section 3.1."""

import hashlib
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

import torch
from jaxtyping import Float
from torch import Tensor

from seq2seq.data.encoded import EncodedCorpus
from seq2seq.layers.unpad import real_sum
from seq2seq.model.model import Model
from seq2seq.objective.base import Losses, Objective
from seq2seq.objective.cross_entropy import CrossEntropy, Terms
from seq2seq.tokenizer import Tokenizer
from seq2seq.types import Batch, Capability


class Distillation(Objective):
    """(1 - w) -log p(target) + w -(sum over v of q(v) log p(v)) at each target position, w being `weight`; the other
    terms are added whole.

    q is the mean of the teachers' distributions. At a `temperature` above 1 both p and q are flattened, to p^(1/T), and
    the term is multiplied by T^2, so that its gradients keep their size (Hinton et al., section 2). Teachers read the
    same pairs, without dropout.
    """

    wired: ClassVar[frozenset[str]] = frozenset({"teachers"})

    def __init__(
        self,
        *,
        teachers: Sequence[Model],
        weight: float,
        temperature: float,
        label_smoothing: float,
        **terms: Unpack[Terms],
    ) -> None:
        if not 0 <= weight <= 1:
            raise ValueError(f"objective.weight must lie in [0, 1], not {weight}")
        if temperature <= 0:
            raise ValueError(f"objective.temperature must be above 0, not {temperature}")
        self.teachers = [teacher.eval().requires_grad_(False) for teacher in teachers]
        self.weight = weight
        self.temperature = temperature
        self.likelihood = CrossEntropy(label_smoothing=label_smoothing, **terms)

    @classmethod
    def needs(cls, **arguments: Any) -> frozenset[Capability]:
        """What the likelihood's terms need."""
        return CrossEntropy.needs(**arguments)

    def prepare(self, train: EncodedCorpus, tokenizer: Tokenizer) -> None:
        """Prepare the likelihood's terms."""
        self.likelihood.prepare(train, tokenizer)
        sums = [fingerprint(teacher) for teacher in self.teachers]
        self.fingerprint = hashlib.sha256(" ".join([self.likelihood.fingerprint or "", *sums]).encode()).hexdigest()

    def begin(self, seed: int, update: int) -> None:
        """Begin an update of the likelihood's terms."""
        self.likelihood.begin(seed, update)

    def __call__(self, model: Model, batch: Batch) -> Losses:
        """One pass of the student, or two, and one of each teacher."""
        passed = self.likelihood.read(model, batch, log_probs=True)
        likelihood = self.likelihood.losses(model, passed, batch)
        flat = self._flattened(passed.log_probs[0])
        rows = -(self._taught(batch).exp() * flat).sum(-1)
        distillation = self.weight * self.temperature**2 * real_sum(rows, batch.target_mask)
        likelihood = likelihood.scaled(1 - self.weight, "cross_entropy")
        total = likelihood.total + distillation
        return Losses(total, likelihood.nll, likelihood.terms | {"distillation": distillation})

    @torch.no_grad()
    def _taught(self, batch: Batch) -> Float[Tensor, "N V"]:
        """The log of the teachers' mean distribution."""
        each = [self._flattened(self._read(teacher, batch)) for teacher in self.teachers]
        if len(each) == 1:
            return each[0]
        return torch.stack(each).logsumexp(0) - math.log(len(each))

    def _read(self, teacher: Model, batch: Batch) -> Float[Tensor, "N V"]:
        memory = teacher.encode(batch.source, batch.source_mask)
        return teacher.generator.real_log_probs(
            teacher.decode(batch.target_in, memory), memory.tokens, batch.target_mask
        )

    def _flattened(self, log_probs: Float[Tensor, "N V"]) -> Float[Tensor, "N V"]:
        return log_probs if self.temperature == 1 else (log_probs / self.temperature).log_softmax(-1)


def fingerprint(model: Model) -> str:
    """A hash of the names and values of all weights."""
    found = hashlib.sha256()
    for name, parameter in model.named_parameters():
        found.update(name.encode() + parameter.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
