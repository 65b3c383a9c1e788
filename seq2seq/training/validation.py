"""Validation: the loss of given targets, and the scores of decoded ones, by the same search as evaluation."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from jaxtyping import Float64
from torch import Tensor

from seq2seq.data.batches import by_length, collate
from seq2seq.data.encoded import EncodedCorpus
from seq2seq.metrics.base import Metric, Score
from seq2seq.model.model import Model
from seq2seq.model.stepwise import Stepwise
from seq2seq.search.base import Hypothesis, Search
from seq2seq.search.decode import decode, evaluating
from seq2seq.search.limits import count_limits, limits_reached, outputs_line
from seq2seq.search.shortlists import Shortlists
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.attention_figures import attention_figure, attention_grid
from seq2seq.training.device import Runtime
from seq2seq.training.figures import render
from seq2seq.training.logbook import Logbook
from seq2seq.training.outputs import OutputWatch, empty_references
from seq2seq.training.probe import END, Forced, force
from seq2seq.training.samples import samples_page
from seq2seq.training.world import World

log = logging.getLogger(__name__)

T = TypeVar("T")


class Left(Exception):
    """What `on_batch` raises to leave a corpus before its end; of several processes, all leave it."""


@dataclass(frozen=True)
class Decoding:
    """What a model made of a corpus: a hypothesis a pair, in the corpus' order, as ids and as text."""

    hypotheses: list[Hypothesis]
    texts: list[str]
    scores: dict[str, Score]


class Validator:
    """Scores the validation set: called with a model and the update it stands at, it returns values by their tags.

    Each process of the world decodes a share of it; the main one scores all and tells the others. Sample outputs, and
    the attention of fixed probe sentences, go to the logbook.
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
        logbook: Logbook,
        world: World,
    ) -> None:
        self.corpus = corpus
        self.tokenizer = tokenizer
        self.search = search
        self.metrics = metrics
        self.runtime = runtime
        self.tokens_per_batch = tokens_per_batch
        self.probes = min(probes, len(corpus))
        self.logbook = logbook
        self.world = world
        self.watch = OutputWatch()

    @property
    def tags(self) -> list[str]:
        """What a validation measures."""
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
                raise Left

        given = (self.runtime, self.tokens_per_batch)
        try:
            nll = nll_per_token(model, self.corpus, *given, world=self.world, on_batch=between_batches)
            found = best_hypotheses(model, self.corpus, self.search, *given, world=self.world, on_batch=between_batches)
        except Left:
            return None
        values = {"valid/nll": nll}
        if self.world.is_main:
            decoding = scored(found, self.corpus, self.tokenizer, self.metrics)
            values |= {f"valid/{name}": score.value for name, score in decoding.scores.items()}
            self._note(decoding, update, values)
            self._show(model, decoding, update)
        return self.world.tell(values)

    def begin(self) -> None:
        """Warn of what makes scores against this validation set say little."""
        references = corpus_references(self.corpus)
        if line := empty_references(references):
            log.warning("valid: %s", line)
        for metric in self.metrics.values():
            metric.warn_once(references)

    def _note(self, decoding: "Decoding", update: int, values: Mapping[str, float]) -> None:
        """Say of outputs that ended at a limit, each time, and what else a person should know of them, once."""
        lines = self.watch(decoding.texts, corpus_references(self.corpus), values)
        reached = limits_reached(self.search, decoding.hypotheses, self.corpus.source_lengths.tolist())
        lines += filter(None, [outputs_line(self.search, count_limits(reached), len(reached))])
        for line in lines:
            log.warning("validation at update %s: %s", f"{update:,}", line)

    def _show(self, model: Model, decoding: "Decoding", update: int) -> None:
        """What a person looks at: sample outputs, and where the probes' attention went."""
        pairs = [self.corpus.pairs[i] for i in range(self.probes)]
        rows = [(pair.source, pair.target, text) for pair, text in zip(pairs, decoding.texts, strict=False)]
        self.logbook.text(update, "valid/samples", samples_page(("source", "target", "output"), rows))
        sources = [self.corpus.source(number) for number in range(self.probes)]
        targets = [hypothesis.tokens for hypothesis in decoding.hypotheses[: self.probes]]
        for number, forced in force(model, sources, targets, self.runtime, self.tokens_per_batch):
            if forced.layers:
                source = forced.columns([self.tokenizer.source.piece(index) for index in sources[number]])
                target = [*map(self.tokenizer.target.piece, targets[number]), END]
                self._draw(update, number, forced, source, target)

    def _draw(self, update: int, number: int, forced: Forced, source: list[str], target: list[str]) -> None:
        """One probe's map: of the last layer, the mean over its heads; and a grid of all, where there are several."""
        title, layers = self.corpus.pairs[number].source, [heads.numpy() for heads in forced.layers]
        tag = f"attention/probe_{number + 1}"
        self.logbook.image(update, tag, render(attention_figure(layers[-1].mean(0), source, target, title)))
        if forced.maps > 1:
            self.logbook.image(update, f"{tag}_heads", render(attention_grid(layers, source, target, title)))


def nll_per_token(
    model: Model,
    corpus: EncodedCorpus,
    runtime: Runtime,
    tokens_per_batch: int,
    *,
    world: World,
    on_batch: Callable[[int], None] | None = None,
) -> float:
    """Unsmoothed negative log-likelihood of the corpus' targets, in nats a token, end symbols counted."""
    batches = list(by_length(corpus.source_lengths + corpus.target_lengths, 2 * tokens_per_batch))

    def own_share() -> Float64[Tensor, "2"]:
        nll, count = sums = torch.zeros(2, dtype=torch.float64)
        with evaluating(model), runtime.autocast():
            for rows in batches[world.rank :: world.size]:
                batch = collate(corpus, rows)
                count += batch.target_mask.sum()
                nll += model(batch.to(runtime.device)).nll.to(nll)
                if on_batch is not None:
                    on_batch(len(rows))
        return sums

    nll, count = world.sum(_by_all(world, own_share))
    return float(nll / count)


def _by_all(world: World, share: Callable[[], T]) -> T:
    """What `share` comes to in this process; raises Left in all of them where it does in one."""
    found, left = None, False
    try:
        found = share()
    except Left:
        left = True
    if world.largest(left):
        raise Left
    return cast(T, found)


def decode_corpus(
    model: Stepwise,
    corpus: EncodedCorpus,
    tokenizer: Tokenizer,
    search: Search,
    metrics: Mapping[str, Metric],
    runtime: Runtime,
    tokens_per_batch: int,
    on_batch: Callable[[int], None] | None = None,
    shortlists: Shortlists | None = None,
) -> Decoding:
    """Decode every source of the corpus and score the best hypotheses against its references."""
    found = best_hypotheses(
        model, corpus, search, runtime, tokens_per_batch, world=World(), on_batch=on_batch, shortlists=shortlists
    )
    return scored(found, corpus, tokenizer, metrics)


def best_hypotheses(
    model: Stepwise,
    corpus: EncodedCorpus,
    search: Search,
    runtime: Runtime,
    tokens_per_batch: int,
    *,
    world: World,
    on_batch: Callable[[int], None] | None = None,
    shortlists: Shortlists | None = None,
) -> list[Hypothesis]:
    """The best hypothesis for each source of the corpus, in its order; each process decodes a share, the main one has
    them all."""
    own = range(world.rank, len(corpus), world.size)
    sources = [corpus.source(i) for i in own]

    def own_share() -> list[list[Hypothesis]]:
        with runtime.autocast():
            return decode(
                model,
                search,
                sources,
                numbers=own,
                device=runtime.device,
                tokens_per_batch=tokens_per_batch,
                shortlists=shortlists,
                on_batch=on_batch,
            )

    shares = world.gather([hypotheses[0] for hypotheses in _by_all(world, own_share)])
    return [shares[i % world.size][i // world.size] for i in range(len(corpus))] if world.is_main else []


def scored(
    hypotheses: list[Hypothesis], corpus: EncodedCorpus, tokenizer: Tokenizer, metrics: Mapping[str, Metric]
) -> Decoding:
    """Hypotheses for the whole corpus as texts, with their scores."""
    texts = tokenizer.target.decode([hypothesis.tokens for hypothesis in hypotheses])
    return Decoding(hypotheses, texts, score_texts(texts, corpus, metrics))


def score_texts(texts: Sequence[str], corpus: EncodedCorpus, metrics: Mapping[str, Metric]) -> dict[str, Score]:
    """All metrics' scores of these texts against the corpus' references."""
    references = corpus_references(corpus)
    scores: dict[str, Score] = {}
    for metric in metrics.values():
        scores |= metric.score(texts, references)
    return scores


def corpus_references(corpus: EncodedCorpus) -> list[tuple[str, ...]]:
    """The texts each hypothesis is scored against: the pair's references, or its target where it has none."""
    pairs = (corpus.pairs[i] for i in range(len(corpus)))
    return [pair.references or (pair.target,) for pair in pairs]
