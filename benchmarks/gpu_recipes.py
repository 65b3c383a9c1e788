"""Whole trainings on a GPU and the decoding of what they made: parts of benchmarks/gpu.py."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from contestants import Figures, ours
from gpu_session import Outcome, Session, failures, in_graphs
from report import rates, record

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.config import load_stored
from seq2seq.data.prepare import prepare_split
from seq2seq.inference.corpus_decoding import score_texts
from seq2seq.tokenizer import Tokenizer

MULTI30K_SECONDS, TATOEBA_SECONDS = 60.0, 180.0
REHEARSED = 1.2  # times as long, with the rehearsal
MULTI30K_BLEU = 42.05  # configs/experiment/multi30k/transformer.yaml, on a CPU
SAME = 0.3  # BLEU: validations that differ by no more are on one plateau
ROUNDS, BEAM = 3, "5"
DECODING_TARGET = 2.0  # seconds
DECODED = "tatoeba/test.npz"


def train_multi30k(session: Session) -> Outcome:
    """configs/experiment/multi30k/transformer_gpu.yaml, in a minute."""
    figures, failure = recipe(session, "multi30k", MULTI30K_SECONDS)
    if failure:
        return Outcome([], failure=failure)
    bleu, seconds = figures["test"]["bleu"]["score"], figures["seconds"]
    summary = f"BLEU {bleu:.2f} on test, {figures['best_valid']['valid/bleu']:.2f} on valid, after {seconds:.1f} s"
    return Outcome([figures], summary, bleu >= MULTI30K_BLEU and seconds <= MULTI30K_SECONDS)


def train_tatoeba(session: Session) -> Outcome:
    """configs/experiment/tatoeba/transformer_gpu.yaml, in three minutes."""
    figures, failure = recipe(session, "tatoeba", TATOEBA_SECONDS)
    if failure:
        return Outcome([], failure=failure)
    reached = plateau(figures["valid_curve"])
    where = "no plateau" if reached is None else f"its plateau after {reached:.2f} minutes"
    summary = f"BLEU {figures['test']['bleu']['score']:.2f} on test, {where}, all after {figures['seconds']:.1f} s"
    met = reached is not None and figures["seconds"] <= TATOEBA_SECONDS
    return Outcome([figures | {"plateau_minutes": reached}], summary, met)


def plateau(curve: Sequence[Mapping[str, float]]) -> float | None:
    """The minutes of the first validation that no other is more than SAME above; None where that is the last one."""
    best = max(point["valid/bleu"] for point in curve)
    return next((point["minutes"] for point in curve[:-1] if point["valid/bleu"] >= best - SAME), None)


def recipe(session: Session, name: str, seconds: float) -> tuple[Figures, str]:
    """A turn of our_recipe.py; or nothing, and why."""
    words = [f"experiment={name}/transformer_gpu", *narrowed(session.options.width), *session.where]
    words += [in_graphs(session), *session.more]
    contestant = ours("our_recipe.py", name, session.options.precision, str(session.folder / name), *words)
    with session.field([contestant]) as ready:
        figures = ready.round(str(session.seconds(seconds)))
    return {"model": name} | figures.get(contestant, {}), failures(ready)


def narrowed(width: int | None) -> list[str]:
    """Command-line words for a Transformer of another width than its recipe's, if one is given."""
    if width is None:
        return []
    words = [f"embedding.size={width}"]
    for side in ("encoder", "decoder"):
        words += [f"{side}.hidden_size={width}", f"{side}.inner_size={4 * width}"]
    return words


def decode_tatoeba(session: Session) -> Outcome:
    """The test set through the model of `train_tatoeba`, beam 5, from ids to ids; the first turn warms up."""
    run, precision = f"{session.folder}/tatoeba/run", session.options.precision
    words = [*session.where, "+trainer.tokens_per_batch=65536"]  # nearly all 5,000 sentences at once
    words += [word for word in session.more if word.startswith("search.")]  # a dry run's model never ends by itself
    contestant = ours("our_decoding.py", "tatoeba", precision, run, str(session.folder / DECODED), *words)
    with session.field([contestant]) as ready:
        turns = ready.rounds([BEAM] * (ROUNDS + 1)).get(contestant, [])[1:]
    if not turns:
        return Outcome([], failure=failures(ready))
    bleu = test_bleu(run, [turn.pop("hypotheses") for turn in turns][-1])
    seconds = turns[0]["sentences"] / rates(turns, "sentences").median
    summary = f"{turns[0]['sentences']:,} sentences in {seconds:.2f} s, BLEU {bleu:.2f}"
    figures = record(contestant, turns, "sentences", {"seconds": seconds, "bleu": bleu, "beam": int(BEAM)})
    return Outcome([figures], summary, seconds <= DECODING_TARGET)


def test_bleu(run: str, hypotheses: Sequence[Sequence[int]]) -> float:
    """The score of these token ids: what was timed must be the trained model's work."""
    settings = load_stored(run)
    tokenizer = Tokenizer.load(RunFolder(Path(run)).tokenizer_folder)
    corpus = prepare_split(data=settings.data(), split="test", tokenizer=tokenizer, length=settings.length)
    metrics = {name: part() for name, part in settings.metrics.items()}
    return score_texts(tokenizer.target.decode(hypotheses), corpus, metrics)["bleu"].value
