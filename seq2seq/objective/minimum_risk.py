"""Minimum risk training: minimise the expected cost of samples, which is their distance from the reference.

Shen et al. (2016), arXiv:1512.02433, with the gradient of REINFORCE (Williams 1992) and, as in self-critical training
(Rennie et al. 2017, arXiv:1612.00563), a baseline from the model's own samples: the mean cost of a source's other
samples (Kool et al. 2019). The likelihood is a second term, as in Paulus et al. (2018), arXiv:1705.04304, equation 16.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.data.encoded import EncodedCorpus
from seq2seq.layers.unpad import real_sum, unpad
from seq2seq.model.model import Model
from seq2seq.model.started import started
from seq2seq.objective.base import Losses, Objective
from seq2seq.objective.cross_entropy import CrossEntropy, Terms
from seq2seq.search.base import Hypothesis
from seq2seq.search.decode import evaluating
from seq2seq.search.forced import collate_targets
from seq2seq.search.pairwise_rouge import pairwise_rouge
from seq2seq.search.sampling import SamplingSearch
from seq2seq.tokenizer import Tokenizer
from seq2seq.types import EOS, Batch, Capability, Memory


@dataclass(frozen=True)
class Candidates:
    """Other targets for sources of a batch, the numbers of these, and their weights."""

    source: Int[Tensor, " R"]
    target_in: Int[Tensor, "R T"]
    target_out: Int[Tensor, "R T"]
    target_mask: Bool[Tensor, "R T"]
    weights: Float[Tensor, " R"]


class MinimumRisk(Objective):
    """E[1 - F1(y, target)] over targets y sampled from the model, plus `cross_entropy` times the cross-entropy.

    F1 is that of their longest common subsequence, ROUGE-L over token ids (Lin 2004). `samples` are sampled per source,
    from the whole distribution and without dropout. It is for a model that is already trained: start with `init_from`.
    """

    def __init__(
        self,
        *,
        samples: int,
        cross_entropy: float,
        label_smoothing: float,
        max_length: int,
        max_length_ratio: float,
        **terms: Unpack[Terms],
    ) -> None:
        if samples < 2:
            raise ValueError(f"objective.samples: they are compared with each other: expected 2 or more, not {samples}")
        if cross_entropy < 0:
            raise ValueError(f"objective.cross_entropy must be at least 0, not {cross_entropy}")
        if max_length < 1:
            raise ValueError(f"objective.max_length: expected 1 or more, got {max_length}")
        if max_length_ratio < 0:
            raise ValueError(f"objective.max_length_ratio: expected 0 or more, got {max_length_ratio}")
        self.samples = samples
        self.cross_entropy = cross_entropy
        self.likelihood = CrossEntropy(label_smoothing=label_smoothing, **terms)
        self.max_length = max_length
        self.max_length_ratio = max_length_ratio
        self.seed = 0
        self.target_start: tuple[int, ...] = ()

    @classmethod
    def needs(cls, **arguments: Any) -> frozenset[Capability]:
        """What the likelihood's terms need."""
        return CrossEntropy.needs(**arguments)

    def prepare(self, train: EncodedCorpus, tokenizer: Tokenizer) -> None:
        """Prepare the likelihood's terms. Samples follow what all targets begin with."""
        self.target_start = train.target_start
        self.likelihood.prepare(train, tokenizer)
        self.fingerprint = self.likelihood.fingerprint

    def begin(self, seed: int, update: int) -> None:
        """The update's samples are a function of `seed` and the pair, independent of its micro-batches."""
        self.seed = seed
        self.likelihood.begin(seed, update)

    def __call__(self, model: Model, batch: Batch) -> Losses:
        """Sample, compute the costs, and run the batch with the samples. The total is the risk, and the gradient is its
        estimate."""
        drawn, limits = self._draw(model, batch)
        costs = _costs(drawn, batch, len(self.target_start))
        passed = self.likelihood.read(model, batch)
        likelihood, risk = self.likelihood.losses(model, passed, batch), costs.mean(1).sum()
        weighted_nll = _weighted_nll(model, _candidates(drawn, limits, costs, self.target_start), passed.memory)
        likelihood = likelihood.scaled(self.cross_entropy, "cross_entropy", "attention_penalty")
        total = likelihood.total + (weighted_nll - weighted_nll.detach() + risk)
        return Losses(total, likelihood.nll, likelihood.terms | {"risk": risk})

    def _draw(self, model: Model, batch: Batch) -> tuple[list[list[Hypothesis]], Int[Tensor, " B"]]:
        """The samples of each source, and their limits with the end symbol counted."""
        search = SamplingSearch(
            samples=self.samples,
            temperature=1.0,
            top_k=None,
            top_p=None,
            seed=self.seed,
            max_length=self.max_length,
            max_length_ratio=self.max_length_ratio,
        )
        with evaluating(model):
            drawn = search(started(model, self.target_start), batch.source, batch.source_mask, numbers=batch.pair_ids)
        torch.clear_autocast_cache()  # weights rounded here would have no gradient
        return drawn, search.constraints(batch.source_mask, None).limits


def _weighted_nll(model: Model, candidates: Candidates, memory: Memory) -> Float[Tensor, ""]:
    """The sum over the candidates of weight times -log p."""
    mask = candidates.target_mask
    memory = memory.keep(candidates.source)
    decoded = model.decode(candidates.target_in, memory)
    log_probs = model.generator.target_log_probs(decoded, memory.tokens, candidates.target_out, mask)
    weights = candidates.weights.unsqueeze(1).expand(mask.shape)
    return -real_sum(unpad(weights, mask) * log_probs, mask)


def _candidates(
    drawn: Sequence[Sequence[Hypothesis]],
    limits: Int[Tensor, " B"],
    costs: Float[Tensor, "B n"],
    target_start: tuple[int, ...],
) -> Candidates:
    """The samples after `target_start`, with weights of -log p such that those with higher cost become less
    probable."""
    samples = costs.shape[1]
    weights = (costs.mean(1, keepdim=True) - costs) / (samples - 1)
    parts = collate_targets([[*target_start, *one.tokens] for each in drawn for one in each])
    target_in, target_out, mask = (part.to(costs.device) for part in parts)
    # Neither the start was sampled nor the end symbol of a sample at the limit.
    place = torch.arange(1, mask.shape[1] + 1, device=costs.device) - len(target_start)
    mask = mask & (place > 0) & (place < limits.repeat_interleave(samples).unsqueeze(1))
    source = torch.arange(len(costs), device=costs.device).repeat_interleave(samples)
    return Candidates(source, target_in, target_out, mask, weights.flatten())


def _costs(drawn: Sequence[Sequence[Hypothesis]], batch: Batch, start: int) -> Float[Tensor, "B n"]:
    """1 - F1 of each sample with its source's own target, from token `start` on."""
    costs = []
    for samples, target, mask in zip(drawn, batch.target_out.cpu(), batch.target_mask.cpu(), strict=True):
        reference = [token for token in target[mask].tolist()[start:] if token != EOS]
        costs.append(1 - pairwise_rouge([one.tokens for one in samples], [reference]).squeeze(1))
    return torch.stack(costs).to(batch.source.device)
