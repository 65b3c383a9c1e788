"""The throughput of training on a GPU: parts of benchmarks/gpu.py.

Updates are as large as a GPU has room for, and a micro-batch may be as large as a whole update. What trains well with
them is not asked here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from contestants import Contestant, Figures, ours
from gpu_session import Outcome, Session, failures, in_graphs
from report import rates, record, spread_text
from tasks import COMMON, LSTMS, TRANSFORMER, lstm, transformer
from training import ENDLESS, padding

from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.data.batches import LEAST_REAL, LEAST_REAL_ON_GPU, cut
from seq2seq.data.prepare import prepare
from seq2seq.data.updates import plan_epoch

ROUNDS, TURN, WARM_UP = 3, 5.0, 10.0  # turns, and seconds of each and of the one that does not count
LARGE = "trainer.tokens_per_batch=65536 trainer.log_every=5"
TRANSFORMER_TARGET = 1e6  # target tokens a second
LSTM_TARGET = 2  # times as slow
WAITING, FREE = "bahdanau", "luong without feeding"  # steps that wait for one another; all steps as one kernel
Models = Mapping[str, Sequence[str]]  # words of each shape


def train_transformer(session: Session) -> Outcome:
    """Updates of a Transformer of the shape that is usual for IWSLT, with about 65,536 target tokens each; on a GPU as
    CUDA graphs."""
    shape = transformer(session.options.width or 512, inner=2, layers=6).split()
    # 5e-4 is that shape's usual learning rate: nothing may blow up while its speed is measured.
    shape += ["tokenizer.vocab_size=10000", "optimizer.lr=5e-4", "trainer.tokens_per_update=65536"]
    figures, turns, failure = take_turns(session, {TRANSFORMER: [*shape, in_graphs(session)]})
    if failure:
        return Outcome([], failure=failure)
    speed = rates(turns[TRANSFORMER], "target_tokens")
    return Outcome(figures, f"{spread_text(speed)} target tokens/s", speed.median >= TRANSFORMER_TARGET)


def train_lstms(session: Session) -> Outcome:
    """Updates of two LSTMs in turns, with about 65,536 target tokens each, on a GPU as CUDA graphs: input feeding makes
    steps wait."""
    width = session.options.width or 256
    shapes = {name: lstm(width, *LSTMS[name]).split() for name in (WAITING, FREE)}
    more = ["trainer.tokens_per_update=65536", in_graphs(session)]
    shapes = {name: [*shape, *more] for name, shape in shapes.items()}
    figures, turns, failure = take_turns(session, shapes)
    speed = {name: rates(each, "target_tokens") for name, each in turns.items()}
    summary = ", ".join(f"{name} {each.median:,.0f} target tokens/s" for name, each in speed.items())
    if failure:
        return Outcome(figures, summary, failure=failure)
    times = speed[FREE].over(speed[WAITING])
    return Outcome(figures, f"{summary}: {times:.2f} times", times <= LSTM_TARGET)


def take_turns(session: Session, shapes: Models) -> tuple[list[dict[str, Any]], dict[str, list[Figures]], str]:
    """The records of those that came through all turns, these turns by model, and who failed and why."""
    precision = session.options.precision
    words = {name: training_words(session, shape) for name, shape in shapes.items()}
    field = [
        ours("our_training.py", name, precision, f"run={session.folder}/{name.replace(' ', '-')}", *each)
        for name, each in words.items()
    ]
    with session.field(field) as ready:
        turns = ready.rounds([str(session.seconds(usual)) for usual in (WARM_UP, *[TURN] * ROUNDS)])
    counted: dict[Contestant, list[Figures]] = {one: each[1:] for one, each in turns.items()}
    records = [
        record(one, each, "target_tokens", {"padding": padding(each), **pieces(words[one.model])})
        for one, each in counted.items()
    ]
    return records, {one.model: each for one, each in counted.items()}, failures(ready)


def training_words(session: Session, shape: Sequence[str]) -> list[str]:
    """All words of a training but the run's name."""
    common = [f"data={session.options.data}", *COMMON.split(), *ENDLESS.split(), *LARGE.split()]
    return [*common, *shape, *session.where, *session.more]


def pieces(words: Sequence[str]) -> dict[str, float]:
    """Micro-batches of an update and target tokens of one of them, means over an epoch: many small ones make a GPU
    wait."""
    settings = load_train(compose(CONFIGS, "train", words))
    data = prepare(data=settings.data(), tokenizer=settings.tokenizer(), length=settings.length, seed=settings.seed)
    corpus, trainer = data.corpora["train"], settings.trainer
    plan = plan_epoch(
        corpus.source_lengths,
        corpus.target_lengths,
        seed=settings.seed,
        epoch=0,
        tokens_per_update=trainer.tokens_per_update,
        count=trainer.count,
    )
    least_real = LEAST_REAL if settings.device == "cpu" else LEAST_REAL_ON_GPU
    batches = sum(len(cut(corpus, blocks, trainer.tokens_per_batch, least_real=least_real)) for blocks in plan)
    tokens = int(corpus.target_lengths.sum()) + len(corpus)
    return {"micro_batches_an_update": batches / len(plan), "target_tokens_a_micro_batch": tokens / batches}
