"""What is measured: each attention of configs/ by itself, and inside the LSTM decoder of a whole model."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from measuring import Work
from naive import naive
from torch import Tensor

from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.config.schema import TrainSettings
from seq2seq.model.builder import build_model
from seq2seq.model.legality import problems
from seq2seq.model.model import Model
from seq2seq.runtime.device import Runtime
from seq2seq.types import BOS, EOS, Attended, Batch, Memory

REFERENCE = "luong_dot"  # what the others are measured against, and what the normalizers are tried with
VOCABULARY = 8000


@dataclass(frozen=True)
class Choice:
    """An attention and a normalizer, by the names of their files."""

    attention: str
    normalizer: str = "softmax"

    def __str__(self) -> str:
        return self.attention if self.normalizer == "softmax" else f"{self.attention}, {self.normalizer}"

    def settings(self, *words: str, parts: str = "lstm") -> TrainSettings:
        """Of an encoder and decoder in their usual sizes, with these two between them; a recurrent decoder is as wide
        as its memory, as luong_dot asks."""
        between = [f"attention={self.attention}", f"normalizer={self.normalizer}"]
        between += [] if parts == "transformer" else ["decoder.hidden_size=512"]
        return load_train(compose(CONFIGS, "train", [f"encoder={parts}", f"decoder={parts}", *between, *words]))


def choices() -> Iterator[Choice]:
    """All that the LSTM decoder can attend with, the reference first: every attention, and every normalizer with it."""
    attentions = sorted(_names("attention"), key=lambda name: name != REFERENCE)
    normalizers = [name for name in _names("normalizer") if name != "softmax"]
    found = [Choice(name) for name in attentions] + [Choice(REFERENCE, name) for name in normalizers]
    yield from (choice for choice in found if not problems(choice.settings()))


def poolings() -> list[str]:
    """Every pooling, the whole memory first."""
    return sorted(_names("pooling"), key=lambda name: name != "none")


def _names(group: str) -> list[str]:
    return sorted(path.stem for path in Path(CONFIGS, group).glob("*.yaml"))


def alone(choice: Choice, rows: int, source: int, target: int, runtime: Runtime) -> dict[str, Work]:
    """Forward and backward through the attention alone, with the states of `rows` sentences: all steps at once, step by
    step as the decoder's loop does it, and naively where there is a naive version."""
    torch.manual_seed(1)
    settings = choice.settings()
    attention = _model(settings, 10, runtime).decoder.attention
    arguments = settings.decoder.arguments, settings.encoder.arguments
    query_dim = settings.decoder.target.query_dim(**arguments[0])  # type: ignore[attr-defined]
    memory_dim = settings.encoder.target.output_dim(**arguments[1])  # type: ignore[attr-defined]
    queries = torch.randn(rows, target, query_dim, device=runtime.device, requires_grad=True)
    states = torch.randn(rows, source, memory_dim, device=runtime.device, requires_grad=True)
    mask = torch.ones(rows, source, dtype=torch.bool, device=runtime.device)
    check_naive(attention, queries, states, mask)

    def work(answer: Any) -> None:
        with runtime.autocast():
            context, penalty = answer(attention, queries, states, mask)
        total = context.float().sum() if penalty is None else context.float().sum() + penalty.sum()
        if total.requires_grad:  # no attention has an empty context
            total.backward()
        _forget([queries, states, *attention.parameters()])

    ways = {"at once": at_once, "stepped": stepped}
    if naive(attention, queries[:1, :1], states[:1], mask[:1]) is not None:
        ways["naive"] = lambda *given: (naive(*given), None)
    return {way: partial(work, answer) for way, answer in ways.items()}


def at_once(attention: Any, queries: Tensor, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor | None]:
    """All steps in one call."""
    attended, _ = attention(queries, attention.start(memory_of(states, mask)))
    return attended.context, attended.penalty


def stepped(attention: Any, queries: Tensor, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor | None]:
    """A call a step, as where the next query depends on the last answer."""
    state = attention.start(memory_of(states, mask))
    steps: list[Attended] = []
    for query in queries.split(1, 1):
        attended, state = attention.step(query, state)
        steps.append(attended)
    joined = Attended.join(steps)
    return joined.context, joined.penalty


def memory_of(states: Tensor, mask: Tensor) -> Memory:
    """What an encoder would have left."""
    return Memory(states, mask, None, states[:, 0])


def check_naive(attention: Any, queries: Tensor, states: Tensor, mask: Tensor) -> None:
    """Raise AssertionError unless ours and the naive version agree: in float64, on a few sentences of unlike length."""
    exact = attention.double().eval()  # without noise
    few, some = queries[:3].detach().double(), states[:3].detach().double()
    shown = mask[:3] & (torch.arange(mask.shape[1], device=mask.device) < mask.shape[1] - 1).logical_or(
        torch.arange(len(few), device=mask.device).unsqueeze(1) != 1
    )
    with torch.no_grad():
        expected = naive(exact, few, some, shown)
        contexts = [way(exact, few, some, shown)[0] for way in (at_once, stepped)]
    for context in contexts:
        assert expected is None or torch.allclose(context, expected, rtol=1e-9, atol=1e-9), type(attention).__name__
    attention.float().train()


def update(settings: TrainSettings, rows: int, source: int, target: int, runtime: Runtime) -> Work:
    """Forward and backward of a whole model on `rows` pairs of sentences of these lengths."""
    torch.manual_seed(1)
    model = _model(settings, VOCABULARY, runtime)
    read, written = (torch.randint(EOS + 1, VOCABULARY, (rows, n), device=runtime.device) for n in (source, target))
    target_in = torch.cat((torch.full_like(written[:, :1], BOS), written[:, :-1]), 1)
    real, shown = (torch.ones_like(ids, dtype=torch.bool) for ids in (read, written))
    batch = Batch(read, real, target_in, written, shown, real.sum(1), torch.arange(rows, device=runtime.device))

    def work() -> None:
        with runtime.autocast():
            loss = model.loss(batch).loss
        loss.backward()
        _forget(model.parameters())

    return work


def _model(settings: TrainSettings, vocabulary: int, runtime: Runtime) -> Model:
    return build_model(settings, source_vocab=vocabulary, target_vocab=vocabulary).to(runtime.device)


def _forget(leaves: Any) -> None:
    for leaf in leaves:
        leaf.grad = None
