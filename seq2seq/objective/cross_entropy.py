"""Cross-entropy with label smoothing, Szegedy et al. (2016), arXiv:1512.00567, section 7, and weighted terms."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, Unpack

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from seq2seq.data.encoded import EncodedCorpus
from seq2seq.layers.unpad import real_sum, unpad
from seq2seq.loss.divergence import smoothed_nll
from seq2seq.model.model import Model
from seq2seq.objective.attention_terms import alignment_loss, coverage_loss, entropy, penalty_of
from seq2seq.objective.base import Losses, Objective
from seq2seq.objective.consistency import Consistency
from seq2seq.objective.links import Links
from seq2seq.objective.scheduled_sampling import ScheduledSampling
from seq2seq.tokenizer import Tokenizer
from seq2seq.types import Attended, Batch, Capability, Decoded, Memory, Weights

CUT, UPDATES = 0.05, 2000  # the defaults of cut_share and scheduled_sampling_updates
OF_WEIGHTS = ("attention_entropy", "attention_coverage", "alignment")  # terms that read attention weights


class Terms(TypedDict):
    """The weights and settings of the terms that every objective can add to its likelihood; all are off by default.

    The YAML files say what each does.
    """

    attention_penalty: float
    attention_entropy: NotRequired[float]
    attention_coverage: NotRequired[float]
    alignment: NotRequired[float]
    alignment_shift: NotRequired[bool]
    links: NotRequired[str | None]
    consistency: NotRequired[Literal["none", "r_drop", "simcut", "cutoff"]]
    consistency_weight: NotRequired[float]
    cut_share: NotRequired[float]
    scheduled_sampling: NotRequired[float]
    scheduled_sampling_updates: NotRequired[int]


@dataclass(frozen=True)
class Passed:
    """A forward pass over a batch; with a second pass, `memory` and `decoded` have its rows below those of the first.

    `log_probs`, where they were needed, have the rows of `layers.unpad.unpad`, of one pass or of both.
    """

    memory: Memory
    decoded: Decoded
    log_probs: tuple[Float[Tensor, "N V"], ...] = ()


class CrossEntropy(Objective):
    """-log p(target | source), smoothed, plus the attention's own loss `attention_penalty` times (coverage: See et al.
    2017, arXiv:1704.04368, equation 13), plus the other terms."""

    def __init__(self, *, label_smoothing: float, **terms: Unpack[Terms]) -> None:
        _check(label_smoothing, terms)
        self.label_smoothing = label_smoothing
        self.attention_penalty = terms["attention_penalty"]
        self.of_weights = {name: float(terms.get(name, 0.0)) for name in OF_WEIGHTS}  # type: ignore[arg-type]
        self.links_file, self.shift = terms.get("links"), terms.get("alignment_shift", False)
        self.links: Links | None = None
        kind = terms.get("consistency", "none")
        weight, share = terms.get("consistency_weight", 1.0), terms.get("cut_share", CUT)
        self.consistency = None if kind == "none" else Consistency(kind=kind, weight=weight, share=share)
        sampled, updates = terms.get("scheduled_sampling", 0.0), terms.get("scheduled_sampling_updates", UPDATES)
        self.sampling = ScheduledSampling(share=sampled, updates=updates) if sampled else None

    @classmethod
    def recordable(cls, **arguments: Any) -> bool:
        """Unless it runs the model twice or looks links up."""
        doubled = arguments.get("consistency", "none") != "none"
        return not (doubled or arguments.get("scheduled_sampling") or arguments.get("alignment"))

    @classmethod
    def needs(cls, **arguments: Any) -> frozenset[Capability]:
        """Weights, for the terms that read them; links are between tokens."""
        needed = {Capability.WEIGHTS} if any(arguments.get(name) for name in OF_WEIGHTS) else set()
        return frozenset(needed | ({Capability.ALIGNED_MEMORY} if arguments.get("alignment") else set()))

    def prepare(self, train: EncodedCorpus, tokenizer: Tokenizer) -> None:
        """Read the links, and note which pieces are never cut."""
        if self.of_weights["alignment"]:
            assert self.links_file is not None
            self.links = Links(Path(self.links_file), train, tokenizer)
            self.fingerprint = self.links.fingerprint
        if self.consistency:
            self.consistency.spare(tokenizer)

    def begin(self, seed: int, update: int) -> None:
        """Scheduled sampling grows."""
        if self.sampling:
            self.sampling.begin(update)

    def __call__(self, model: Model, batch: Batch) -> Losses:
        """One pass over the batch, or two."""
        return self.losses(model, self.read(model, batch), batch)

    def read(self, model: Model, batch: Batch, *, log_probs: bool = False) -> Passed:
        """The passes over the batch; with `log_probs` these as well."""
        if self.sampling and model.training:
            batch = self.sampling(model, batch)
        both = self.consistency.double(batch) if self.consistency else batch
        memory = model.encode(both.source, both.source_mask)
        if self.consistency and memory.tokens is not None:  # cut tokens can still be copied
            memory = replace(memory, tokens=batch.source.repeat(2, 1))
        wanted = Weights.LAST if any(self.of_weights.values()) else Weights.NONE
        decoded = model.decode(both.target_in, memory, wanted)
        found: tuple[Tensor, ...] = ()
        if log_probs or self.consistency:
            each = model.generator.real_log_probs(decoded, memory.tokens, both.target_mask)
            found = each.chunk(2) if self.consistency else (each,)
        return Passed(memory, decoded, found)

    def losses(self, model: Model, passed: Passed, batch: Batch) -> Losses:
        """The objective from these passes."""
        decoded, mask = passed.decoded, batch.target_mask
        if not passed.log_probs:
            smoothing, tokens = self.label_smoothing, passed.memory.tokens
            loss, nll = model.generator.loss(decoded, tokens, batch.target_out, mask, smoothing)
        else:
            loss, nll = self._likelihood(passed.log_probs, batch)
        terms = {"cross_entropy": loss}
        if self.consistency:
            terms["consistency"] = self.consistency.divergence(passed.log_probs, mask)
            decoded = _first(decoded, len(mask))
        if self.attention_penalty and (penalty := penalty_of(decoded, mask)) is not None:
            terms["attention_penalty"] = self.attention_penalty * penalty
        terms |= self._of_weights(decoded, batch)
        total = sum(terms.values(), loss.new_zeros(()))
        return Losses(total, nll, terms) if len(terms) > 1 else Losses(loss, nll)

    def _likelihood(self, log_probs: tuple[Tensor, ...], batch: Batch) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """The smoothed loss, of both passes if there are two, and the NLL of the first."""
        mask, targets = batch.target_mask, unpad(batch.target_out, batch.target_mask)
        smoothed, nll = smoothed_nll(log_probs[0], targets, self.label_smoothing)
        loss = real_sum(smoothed, mask)
        if self.consistency and self.consistency.averages:
            loss = (loss + real_sum(smoothed_nll(log_probs[1], targets, self.label_smoothing)[0], mask)) / 2
        return loss, real_sum(nll, mask).detach()

    def _of_weights(self, decoded: Decoded, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """The terms that read attention weights."""
        found = {}
        if self.of_weights["attention_entropy"]:
            found["attention_entropy"] = entropy(decoded.weights, batch.target_mask)
        if self.of_weights["attention_coverage"]:
            found["attention_coverage"] = coverage_loss(decoded.weights, batch.target_mask)
        if self.links is not None:
            wanted = self.links(batch)
            if self.shift:
                wanted = F.pad(wanted[:, :-1], (0, 0, 1, 0))
            found["alignment"] = alignment_loss(decoded.weights, wanted)
        return {name: self.of_weights[name] * value for name, value in found.items()}


def _first(decoded: Decoded, rows: int) -> Decoded:
    """Of the batch itself, without a second pass."""

    def head(part: Tensor | None) -> Any:
        return None if part is None else part[:rows]

    attended = tuple(Attended(head(a.context), head(a.weights), head(a.penalty)) for a in decoded.attended)
    return Decoded(head(decoded.features), head(decoded.inputs), attended)


def _check(label_smoothing: float, terms: Terms) -> None:
    """Raise ValueError for values outside their ranges."""
    problems = []
    if not 0 <= label_smoothing < 1:
        problems.append(f"objective.label_smoothing must lie in [0, 1), not {label_smoothing}")
    for name in ("attention_penalty", *OF_WEIGHTS, "consistency_weight"):
        if (value := terms.get(name, 0.0)) < 0:  # type: ignore[operator]
            problems.append(f"objective.{name} must be at least 0, not {value}")
    for name in ("cut_share", "scheduled_sampling"):
        if not 0 <= (value := terms.get(name, 0.0)) <= 1:  # type: ignore[operator]
            problems.append(f"objective.{name} must lie in [0, 1], not {value}")
    if (updates := terms.get("scheduled_sampling_updates", UPDATES)) < 1:
        problems.append(f"objective.scheduled_sampling_updates: expected 1 or more, got {updates}")
    if terms.get("alignment", 0.0) > 0 and terms.get("links") is None:
        problems.append("objective.alignment needs objective.links=FILE, the word alignments of the training pairs")
    if terms.get("links") is not None and not terms.get("alignment", 0.0):
        problems.append("objective.links is for objective.alignment, which is 0; give that a weight, for example 0.05")
    problems += _unused(terms)
    if problems:
        raise ValueError("; ".join(problems))


def _unused(terms: Terms) -> Iterator[str]:
    """A line for each setting that has no effect without another one."""
    kind = terms.get("consistency", "none")
    if kind == "none" and terms.get("consistency_weight", 1.0) != 1.0:
        yield "objective.consistency_weight is for objective.consistency, which is none: r_drop, simcut or cutoff"
    if kind not in ("simcut", "cutoff") and terms.get("cut_share", CUT) != CUT:
        yield f"objective.cut_share is for objective.consistency=simcut or cutoff, not {kind}"
    if terms.get("alignment_shift") and not terms.get("alignment"):
        yield "objective.alignment_shift is for objective.alignment, which is 0; give that a weight, for example 0.05"
    if terms.get("scheduled_sampling_updates", UPDATES) != UPDATES and not terms.get("scheduled_sampling"):
        yield "objective.scheduled_sampling_updates is for objective.scheduled_sampling, which is 0"
