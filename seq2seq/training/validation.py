"""Validation: the loss of given targets, and the scores of decoded ones, by the same search as evaluation."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from seq2seq.data.batches import by_length
from seq2seq.data.encoded import EncodedCorpus
from seq2seq.inference.corpus_decoding import (
    Decoding,
    Interrupted,
    best_hypotheses,
    corpus_references,
    nll_per_token,
    scored,
)
from seq2seq.inference.fitting import FittingBatches
from seq2seq.inference.forced_attention import END, Forced, force
from seq2seq.inference.output_checks import OutputWatch, empty_references
from seq2seq.logger.base import Recorder
from seq2seq.metrics.base import Metric
from seq2seq.model.model import Model
from seq2seq.model.packing import for_search
from seq2seq.model.started import started
from seq2seq.reporting.attention_figures import attention_figure, attention_grid
from seq2seq.reporting.figures import render
from seq2seq.reporting.samples import samples_page
from seq2seq.runtime.device import Runtime
from seq2seq.runtime.distributed import World
from seq2seq.search.base import Search
from seq2seq.search.decode import decode
from seq2seq.search.limits import count_limits, limits_reached, outputs_line
from seq2seq.tokenizer import Tokenizer

log = logging.getLogger(__name__)


class Validator:
    """Scores the validation set: called with a model and its update, it returns values by their tags.

    Each process of the world decodes a share of it; the main one scores all and broadcasts the scores. Sample outputs,
    and the attention of fixed probe sentences, go to the recorder.
    """

    def __init__(
        self,
        *,
        corpus: EncodedCorpus,
        tokenizer: Tokenizer,
        search: Search,
        metrics: Mapping[str, Metric],
        runtime: Runtime,
        tokens_per_batch: int,
        probes: int,
        recorder: Recorder,
        world: World,
    ) -> None:
        self.corpus = corpus
        self.tokenizer = tokenizer
        self.search = search
        self.metrics = metrics
        self.runtime = runtime
        self.batches = FittingBatches(corpus, "validation", tokens_per_batch, runtime.device)
        self.probes = min(probes, len(corpus))
        self.recorder = recorder
        self.world = world
        self.watch = OutputWatch()

    @property
    def tags(self) -> list[str]:
        """The tags of a validation's values."""
        return ["valid/nll", *(f"valid/{name}" for metric in self.metrics.values() for name in metric.names)]

    def higher_is_better(self, tag: str) -> bool:
        """Whether a larger value under this tag is the better one."""
        name = tag.removeprefix("valid/")
        return any(name in metric.names and metric.higher_is_better(name) for metric in self.metrics.values())

    def as_shown(self, tag: str, value: float) -> float:
        """The value under this tag to as many decimals as are shown of it: what looks the same is the same."""
        name = tag.removeprefix("valid/")
        decimals = next((metric.decimals for metric in self.metrics.values() if name in metric.names), None)
        return value if decimals is None else round(value, decimals)

    def __call__(
        self, model: Model, update: int, stopped: Callable[[], bool] = lambda: False
    ) -> dict[str, float] | None:
        """valid/nll and the score of each metric; None, in every process, where `stopped` was true in one of them."""

        def between_batches(sentences: int) -> None:
            if stopped():
                raise Interrupted

        given: dict[str, Any] = {"world": self.world, "on_batch": between_batches, "fitting": self.batches}
        size = self.batches.tokens_per_batch
        try:
            nll = nll_per_token(model, self.corpus, self.runtime, size, **given)
            begun = started(for_search(model, self.runtime), self.corpus.target_start)
            found = best_hypotheses(begun, self.corpus, self.search, self.runtime, size, **given)
        except Interrupted:
            return None
        values = {"valid/nll": nll}
        if self.world.is_main:
            decoding = scored(found, self.corpus, self.tokenizer, self.metrics)
            values |= {f"valid/{name}": score.value for name, score in decoding.scores.items()}
            self._warn(decoding, update, values)
            self._show(model, decoding, update)
        return self.world.broadcast(values)

    def decode_longest(self, model: Model, tokens_per_batch: int) -> None:
        """Decode the batch of this many tokens that needs most memory, as a validation would."""
        longest = next(by_length(self.corpus.source_lengths, tokens_per_batch))
        begun = started(for_search(model, self.runtime), self.corpus.target_start)
        sources = [self.corpus.source(int(row)) for row in longest]
        with self.runtime.autocast():
            decode(begun, self.search, sources, device=self.runtime.device, tokens_per_batch=tokens_per_batch)

    def begin(self) -> None:
        """Warn of problems of this validation set. Raises ConfigError where a metric cannot score it."""
        references = corpus_references(self.corpus)
        if line := empty_references(references):
            log.warning("valid: %s", line)
        for metric in self.metrics.values():
            metric.check(references)
            metric.warn_once(references)

    def _warn(self, decoding: "Decoding", update: int, values: Mapping[str, float]) -> None:
        """Warn of outputs that ended at a limit, each time, and of other problems, once."""
        lines = self.watch(decoding.texts, corpus_references(self.corpus), values)
        reached = limits_reached(self.search, decoding.hypotheses, self.corpus.source_lengths.tolist())
        lines += filter(None, [outputs_line(self.search, count_limits(reached), len(reached))])
        for line in lines:
            log.warning("validation at update %s: %s", f"{update:,}", line)

    def _show(self, model: Model, decoding: "Decoding", update: int) -> None:
        """Record sample outputs and the attention of the probes."""
        pairs = [self.corpus.pairs[i] for i in range(self.probes)]
        rows = [(pair.source, pair.target, text) for pair, text in zip(pairs, decoding.texts, strict=False)]
        self.recorder.text(update, "valid/samples", samples_page(("source", "target", "output"), rows))
        sources = [self.corpus.source(number) for number in range(self.probes)]
        targets = [hypothesis.tokens for hypothesis in decoding.hypotheses[: self.probes]]
        start = self.corpus.target_start
        size = self.batches.tokens_per_batch
        for number, forced in force(model, sources, targets, self.runtime, size, target_start=start):
            if forced.layers:
                source = forced.columns([self.tokenizer.source.piece(index) for index in sources[number]])
                target = [*map(self.tokenizer.target.piece, targets[number]), END]
                self._draw(update, number, forced, source, target)

    def _draw(self, update: int, number: int, forced: Forced, source: list[str], target: list[str]) -> None:
        """One probe's map: of the last layer, the mean over its heads; and a grid of all, where there are several."""
        title, layers = self.corpus.pairs[number].source, [heads.numpy() for heads in forced.layers]
        tag = f"attention/probe_{number + 1}"
        self.recorder.image(update, tag, render(attention_figure(layers[-1].mean(0), source, target, title)))
        if forced.maps > 1:
            self.recorder.image(update, f"{tag}_heads", render(attention_grid(layers, source, target, title)))
