"""The loss and the decoded outputs of a whole corpus; each process computes a share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from seq2seq.data.batches import by_length, collate
from seq2seq.data.encoded import EncodedCorpus
from seq2seq.inference.fitting import FittingBatches
from seq2seq.metrics.base import Metric, Score
from seq2seq.model.model import Model
from seq2seq.model.stepwise import Stepwise
from seq2seq.runtime.device import Runtime
from seq2seq.runtime.distributed import World
from seq2seq.search.base import Hypothesis, Search
from seq2seq.search.decode import decode, evaluating
from seq2seq.search.outside import OutsideModel
from seq2seq.search.shortlists import Shortlists
from seq2seq.tokenizer import Tokenizer

T = TypeVar("T")


class Interrupted(Exception):
    """Raised by `on_batch` to stop before the end of a corpus; all processes stop together."""


@dataclass(frozen=True)
class Decoding:
    """The outputs for a corpus: one hypothesis per pair, in the corpus' order, as ids and as text."""

    hypotheses: list[Hypothesis]
    texts: list[str]
    scores: dict[str, Score]


def nll_per_token(
    model: Model,
    corpus: EncodedCorpus,
    runtime: Runtime,
    tokens_per_batch: int,
    *,
    world: World,
    on_batch: Callable[[int], None] | None = None,
    fitting: FittingBatches | None = None,
) -> float:
    """Unsmoothed negative log-likelihood of the corpus' targets, in nats per token, end symbols counted. `fitting`
    makes batches smaller where memory runs out, here and in `best_hypotheses`."""
    lengths = corpus.source_lengths + corpus.target_lengths
    shares = list(by_length(lengths, 2 * tokens_per_batch))[world.rank :: world.size]
    own = np.concatenate(shares) if shares else np.zeros(0, np.int64)

    def own_share(size: int) -> Float64[Tensor, "2"]:
        nll, count = sums = torch.zeros(2, dtype=torch.float64)
        with evaluating(model), runtime.autocast():
            for places in by_length(lengths[own], 2 * size):
                rows = own[places]
                batch = collate(corpus, rows)
                count += batch.target_mask.sum()
                nll += model.loss(batch.to(runtime.device)).nll.to(nll)
                if on_batch is not None:
                    on_batch(len(rows))
        return sums

    nll, count = world.all_reduce_sum(_by_all(world, _sized(own_share, tokens_per_batch, fitting)))
    return float(nll / count)


def _sized(share: Callable[[int], T], tokens_per_batch: int, fitting: FittingBatches | None) -> Callable[[], T]:
    """The share in batches of `tokens_per_batch`, or of what fits."""
    return (lambda: share(tokens_per_batch)) if fitting is None else (lambda: fitting(share))


def _by_all(world: World, share: Callable[[], T]) -> T:
    """The result of `share` in this process; raises Interrupted in all processes if it does in one."""
    found, interrupted = None, False
    try:
        found = share()
    except Interrupted:
        interrupted = True
    if world.all_reduce_max(interrupted):
        raise Interrupted
    return cast(T, found)


def decode_corpus(
    model: Stepwise | OutsideModel,
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
    model: Stepwise | OutsideModel,
    corpus: EncodedCorpus,
    search: Search,
    runtime: Runtime,
    tokens_per_batch: int,
    *,
    world: World,
    on_batch: Callable[[int], None] | None = None,
    shortlists: Shortlists | None = None,
    fitting: FittingBatches | None = None,
) -> list[Hypothesis]:
    """The best hypothesis for each source of the corpus, in its order, without scores; each process decodes a share,
    the main process has all of them."""
    own = range(world.rank, len(corpus), world.size)
    sources = [corpus.source(i) for i in own]

    def own_share(size: int) -> list[list[Hypothesis]]:
        with runtime.autocast():
            return decode(
                model,
                search.without_scores(),
                sources,
                numbers=own,
                device=runtime.device,
                tokens_per_batch=size,
                shortlists=shortlists,
                on_batch=on_batch,
            )

    found = _by_all(world, _sized(own_share, tokens_per_batch, fitting))
    shares = world.gather([hypotheses[0] for hypotheses in found])
    return [shares[i % world.size][i // world.size] for i in range(len(corpus))] if world.is_main else []


def scored(
    hypotheses: list[Hypothesis], corpus: EncodedCorpus, tokenizer: Tokenizer, metrics: Mapping[str, Metric]
) -> Decoding:
    """Hypotheses for the whole corpus as texts, with their scores."""
    texts = tokenizer.target.decode([hypothesis.tokens for hypothesis in hypotheses])
    return Decoding(hypotheses, texts, score_texts(texts, corpus, metrics))


def score_texts(texts: Sequence[str], corpus: EncodedCorpus, metrics: Mapping[str, Metric]) -> dict[str, Score]:
    """All metrics' scores of these texts against the corpus' references."""
    sources, references = corpus_sources(corpus), corpus_references(corpus)
    scores: dict[str, Score] = {}
    for metric in metrics.values():
        scores |= metric.for_sources(sources).score(texts, references)
    return scores


def corpus_sources(corpus: EncodedCorpus) -> list[str]:
    """The sources as they are scored: whole, and without a prefix."""
    return [corpus.pairs[i].source for i in range(len(corpus))]


def corpus_references(corpus: EncodedCorpus) -> list[tuple[str, ...]]:
    """The texts each hypothesis is scored against: the pair's references, or its target if it has none."""
    pairs = (corpus.pairs[i] for i in range(len(corpus)))
    return [pair.references or (pair.target,) for pair in pairs]
