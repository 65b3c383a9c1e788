"""Beam search and greedy search by CTranslate2, with the outputs and the scores of ours."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seq2seq.data.batches import by_length
from seq2seq.format.ctranslate2 import tokens_of
from seq2seq.inference.trained_model import TrainedModel
from seq2seq.search.base import Hypothesis, Search
from seq2seq.search.beam import BeamSearch
from seq2seq.search.decode import decode
from seq2seq.search.greedy import GreedySearch
from seq2seq.search.outside import OutsideModel
from seq2seq.types import BOS, EOS, PAD

CPU_BATCH = 512  # source positions; larger batches are slower on a CPU (docs/export.md)
WAITING = 2  # batches for each worker that are handed over before the first one's outputs are taken
NO_PENALTY = 1e-9  # with exactly 0 it stops at the first finished hypothesis

log = logging.getLogger(__name__)


class CTranslate2Model(OutsideModel):
    """The export of a trained model, run on a device: on a CPU `workers` batches at a time, one thread each.

    At its length limit CTranslate2 ends the search in another way, and it may output padding. Sentences where this
    happens are searched by ours, in fp32.
    """

    def __init__(
        self, folder: Path, trained: TrainedModel, device: torch.device, compute_type: str, workers: int
    ) -> None:
        import ctranslate2

        self.folder = folder
        self.source, self.target = tokens_of(trained.tokenizer.source), tokens_of(trained.tokenizer.target)
        self.ids = {token: i for i, token in enumerate(self.target)}
        self.model = trained.model
        self.device = device
        self.workers = workers
        self.translator = ctranslate2.Translator(
            str(folder),
            device=device.type,
            device_index=device.index or 0,
            compute_type=compute_type,
            inter_threads=workers,
            intra_threads=1,
        )
        self.compute_type: str = self.translator.compute_type

    def decode(
        self,
        search: Search,
        sentences: Sequence[Sequence[int]],
        *,
        tokens_per_batch: int,
        on_batch: Callable[[int], None] | None = None,
    ) -> list[list[Hypothesis]]:
        """Hypotheses of each sentence, best first. A batch has the limit of its longest sentence."""
        if lines := search_problems(search, type(search).__name__):
            raise ValueError("; ".join(lines))
        lengths = np.array([len(sentence) for sentence in sentences], dtype=np.int64)
        limits = search.limits(torch.from_numpy(lengths) + 1).tolist()
        results: list[list[Hypothesis]] = [[] for _ in sentences]
        waiting: deque[tuple[list[int], list[Any]]] = deque()

        def take_first() -> None:
            rows, answers = waiting.popleft()
            for i, answer in zip(rows, answers, strict=True):
                results[i] = self._hypotheses(answer.result(), search, limits[i])
            if on_batch is not None:
                on_batch(len(rows))

        size = tokens_per_batch // self.workers
        for batch in by_length(lengths, min(size, CPU_BATCH) if self.device.type == "cpu" else size):
            rows = batch.tolist()
            waiting.append((rows, self._ask([sentences[i] for i in rows], search, max(limits[i] for i in rows))))
            if len(waiting) > WAITING * self.workers:
                take_first()
        while waiting:
            take_first()
        self._complete(results, search, sentences, tokens_per_batch)
        return results

    def _complete(
        self,
        results: list[list[Hypothesis]],
        search: Search,
        sentences: Sequence[Sequence[int]],
        tokens_per_batch: int,
    ) -> None:
        """Search for what has no result yet."""
        left = [i for i, hypotheses in enumerate(results) if not hypotheses]
        if not left:
            return
        log.debug("%s of %s sentences are searched by engine=ours", f"{len(left):,}", f"{len(sentences):,}")
        self.model.to(self.device)
        chosen = [sentences[i] for i in left]
        found = decode(self.model, search, chosen, device=self.device, tokens_per_batch=tokens_per_batch)
        for i, hypotheses in zip(left, found, strict=True):
            results[i] = hypotheses

    def _ask(self, sentences: Sequence[Sequence[int]], search: Search, longest: int) -> list[Any]:
        """The pending results: outputs of at most `longest` tokens, the end symbol counted."""
        return self.translator.translate_batch(
            [[self.source[i] for i in sentence] for sentence in sentences],
            beam_size=search.most,
            num_hypotheses=search.most,
            length_penalty=_length_penalty(search) or NO_PENALTY,
            max_input_length=0,
            max_decoding_length=longest,
            min_decoding_length=0,
            return_scores=True,
            return_end_token=True,
            asynchronous=True,
        )

    def _hypotheses(self, result: Any, search: Search, limit: int) -> list[Hypothesis]:
        """The result as ours; none if our search would have found another."""
        outputs = [[self.ids[token] for token in tokens] for tokens in result.hypotheses]
        if not all(ids[-1:] == [EOS] and len(ids) <= limit and not {PAD, BOS} & set(ids) for ids in outputs):
            return []
        alpha = _length_penalty(search)
        return [
            Hypothesis(ids[:-1], score * len(ids) ** alpha, score)
            for ids, score in zip(outputs, result.scores, strict=True)
        ]


def search_problems(search: Search, name: str) -> list[str]:
    """A line for each thing of a search called `name` that CTranslate2 lacks, or that changes its scores."""
    if type(search) not in (BeamSearch, GreedySearch):
        return [f"engine=ctranslate2 has no search={name}: it can beam or greedy"]
    return [
        f"engine=ctranslate2 has no search.{key}={value}: it can {most}"
        for key, most in (("coverage_penalty", 0), ("no_repeat_ngram", 0), ("min_length", 1))
        if (value := getattr(search, key, 0)) > most
    ]


def _length_penalty(search: Search) -> float:
    """0 for greedy search, whose score is log p."""
    return search.length_penalty if isinstance(search, BeamSearch) else 0.0
