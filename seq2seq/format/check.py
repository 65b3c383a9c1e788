"""The check of an export: its own runtime must give the greedy outputs of our model."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from seq2seq.checkpoint.storage import discard
from seq2seq.config.schema import TrainSettings
from seq2seq.data.batches import collate_sources
from seq2seq.errors import Seq2SeqError
from seq2seq.format.base import Exported, Format
from seq2seq.format.sentences import Sentences
from seq2seq.inference.trained_model import TrainedModel, as_read
from seq2seq.metrics.chrf import Chrf
from seq2seq.search.decode import decode, evaluating
from seq2seq.search.forced import collate_targets
from seq2seq.search.greedy import GreedySearch
from seq2seq.types import BOS, EOS, PAD, Batch

TOLERANCE = 1e-3  # nats between two tokens that are equally likely
SCRATCH = ".lossless"

log = logging.getLogger(__name__)


def write_checked(
    chosen: Format, trained: TrainedModel, settings: TrainSettings, folder: Path, sentences: Sentences
) -> None:
    """Write the export into the folder. Raises Seq2SeqError if it gives other outputs than the model.

    If it loses precision, that is checked of its lossless variant, and how far the two differ is logged.
    """
    expected = Expected.of(trained, settings, sentences)
    lossless = chosen.lossless()
    if lossless is chosen:
        chosen.write(trained, settings, folder)
        expected.check(chosen.exported(folder))
        return
    scratch = folder / SCRATCH
    scratch.mkdir()
    lossless.write(trained, settings, scratch)
    expected.check(lossless.exported(scratch))
    discard(scratch)
    chosen.write(trained, settings, folder)
    expected.compare(chosen.exported(folder))


@dataclass(frozen=True)
class Expected:
    """Sentences as ids, and the greedy outputs of our model for them. `limits` are the most tokens of each output, its
    end symbol not counted."""

    trained: TrainedModel
    sentences: Sentences
    sources: list[list[int]]
    limits: list[int]
    outputs: list[list[int]]

    @classmethod
    def of(cls, trained: TrainedModel, settings: TrainSettings, sentences: Sentences) -> "Expected":
        """Decode the sentences, as the run's search limits their length."""
        ids = trained.tokenizer.source.encode(as_read(settings, sentences.texts))
        sources = [row[: settings.length.max_source] for row in ids]
        texts = [text for text, row in zip(sentences.texts, sources, strict=True) if row]
        sources = [row for row in sources if row]
        given = settings.search.arguments
        search = GreedySearch(max_length=given["max_length"], max_length_ratio=given["max_length_ratio"])
        found = decode(
            trained.search_model,
            search,
            sources,
            device=trained.runtime.device,
            tokens_per_batch=settings.trainer.batch_tokens,
        )
        limits = search.limits(torch.tensor([len(row) + 1 for row in sources])) - 1
        return cls(
            trained,
            Sentences(texts, sentences.origin),
            sources,
            limits.tolist(),
            [hypotheses[0].tokens for hypotheses in found],
        )

    def check(self, exported: Exported) -> None:
        """Raise Seq2SeqError if the export has another output that is not as likely at each step."""
        found = exported.greedy(self.sources, self.limits)
        other = [i for i, (one, ours) in enumerate(zip(found, self.outputs, strict=True)) if one != ours]
        for i in other:
            gap = float("inf") if len(found[i]) > self.limits[i] else self._gap(i, found[i])
            if gap > TOLERANCE:
                raise Seq2SeqError(self._difference(i, found[i], gap))
        ties = f" ({len(other)} with an equally likely token)" if other else ""
        log.info("checked with %s sentences of %s: equal outputs%s", f"{len(found):,}", self.sentences.origin, ties)

    def compare(self, exported: Exported) -> None:
        """Log how many outputs are equal, and the chrF of all with those of the model as references."""
        found = exported.greedy(self.sources, self.limits)
        equal = sum(one == ours for one, ours in zip(found, self.outputs, strict=True))
        theirs, ours = self._texts(found), self._texts(self.outputs)
        metric = Chrf(char_order=6, word_order=0, beta=2, lowercase=False)
        score = metric.score(theirs, [(text,) for text in ours])["chrf"]
        share = f"{equal / len(found):.1%} of {len(found):,} outputs are equal"
        log.info("with the chosen precision %s to those of the model (chrF between both: %.1f)", share, score.value)

    def _gap(self, i: int, output: Sequence[int]) -> float:
        """By how many nats a token of this output is less likely than the best one at its step, at most."""
        source, source_mask = collate_sources([self.sources[i]])
        start = self.trained.target_start
        target_in, target_out, mask = collate_targets([[*start, *output]])
        batch = Batch(source, source_mask, target_in, target_out, mask, source_mask.sum(1), torch.zeros(1).long())
        with evaluating(self.trained.model):
            log_probs = self.trained.model.log_probs(batch)[0]
            log_probs[:, [PAD, BOS]] = float("-inf")
            best, chosen = log_probs.amax(-1), log_probs.gather(-1, target_out[0].unsqueeze(-1)).squeeze(-1)
        gaps = (best - chosen).tolist()
        return max(gaps[len(start) :][: self.limits[i]], default=0.0)  # at the limit the end is forced

    def _difference(self, i: int, output: Sequence[int], gap: float) -> str:
        theirs, ours = self._texts([output, self.outputs[i]])
        return (
            f"the export gives another output than the model (a token is {gap:.4f} nats less likely than the best); "
            f"nothing was written:\n  source: {self.sentences.texts[i]}\n  model:  {ours}\n  export: {theirs}"
        )

    def _texts(self, outputs: Sequence[Sequence[int]]) -> list[str]:
        return self.trained.tokenizer.target.decode([[i for i in one if i != EOS] for one in outputs])
