"""How fast decoding is: python benchmarks/decoding.py [--beams 1,5] [--peers none] [--json FILE].

The test sentences through one Transformer: ours, Hugging Face's generate and CTranslate2, all with the same weights,
which are trained for some updates first and kept. From token ids to token ids, in turns. Markdown goes to stdout.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from contestants import Contestant, Field, Figures, ours, peer, peers_wanted
from marian_weights import marian_weights
from measuring import Sample
from peers.exchange import write_pairs
from report import opening, rates, record, spread_text, surroundings, table, write_json
from tasks import TRANSFORMER, WORK, Task, add_options, add_peers, chosen_precisions, task

from seq2seq.checkpoint.weights import model_tensors
from seq2seq.config import CONFIGS, compose, load_stored, load_train
from seq2seq.config.schema import TrainSettings
from seq2seq.data.encoded import EncodedCorpus
from seq2seq.data.prepare import prepare_split
from seq2seq.inference.corpus_decoding import score_texts
from seq2seq.inference.trained_model import load_trained
from seq2seq.runtime.device import choose_runtime
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.run import train

SHORTLIST = 30  # translations of each source token
HEADS = ["program, model, precision", "sentences/s", "target tokens/s", "source tokens/s", "tokens a sentence", "BLEU"]
HEADS += ["same text as the first", "peak MiB"]


def main() -> None:
    options = parse()
    measured = surroundings(options)
    subject = trained(task(TRANSFORMER, options), options)
    setting = f"{len(subject.corpus):,} test sentences, after {options.updates:,} updates of training."
    opening("Decoding", measured, options, f"{setting} Medians of {options.rounds} turns")
    with Field(contestants(subject, options), options.threads) as field:
        for beam in options.beams:
            turns = {one: each[1:] for one, each in field.rounds([beam] * (options.rounds + 1)).items()}
            if not turns:
                sys.exit("Nothing was measured.")
            measured["figures"] += report(beam, turns, subject)
        measured["versions"] |= field.versions
    write_json(options.json, measured)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    add_peers(parser)
    parser.add_argument("--beams", type=beams, default=["1", "5"], help="sizes; 1 is greedy search")
    parser.add_argument("--updates", type=int, default=600, help="of training, so that sentences end where they should")
    return parser.parse_args(arguments)


def beams(text: str) -> list[str]:
    """The sizes in a list like 1,5."""
    chosen = text.split(",")
    if unknown := [word for word in chosen if word not in ("1", "5")]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are 1 (greedy) and 5")
    return chosen


@dataclass(frozen=True)
class Subject:
    """A trained run, its tokenizer and the ids of its test set; `folder` holds all that the peers need."""

    run: str
    settings: TrainSettings
    tokenizer: Tokenizer
    corpus: EncodedCorpus
    folder: Path


def trained(made: Task, options: argparse.Namespace) -> Subject:
    """The task's run, trained where it is not there yet."""
    run = f"{WORK}/{made.settings.run}"
    words = [*made.words, "trainer.validate_every=1000000", f"trainer.max_updates={options.updates}", f"run={run}"]
    train(load_train(compose(CONFIGS, "train", words)))
    settings = load_stored(run)
    tokenizer = made.data.tokenizer
    corpus = prepare_split(data=settings.data(), split="test", tokenizer=tokenizer, length=settings.length)
    folder = made.folder("decoding")
    write_pairs(folder / "test.npz", corpus)
    model = load_trained(run, settings, "last").model.cpu()
    np.savez(folder / "marian.npz", **{name: one.numpy() for name, one in marian_weights(model_tensors(model)).items()})
    return Subject(run, settings, tokenizer, corpus, folder)


def contestants(subject: Subject, options: argparse.Namespace) -> Iterator[Contestant]:
    """Who takes turns: ours, on a CPU also in int8, each with a shortlist, too; Hugging Face in the same precisions;
    CTranslate2 in its own."""
    given = [subject.run, str(subject.folder / "test.npz")]
    precisions = chosen_precisions(options)
    on_cpu = choose_runtime(options.device, "auto").device.type == "cpu"
    rounded = ["int8"] if on_cpu and options.precisions is None else []
    for precision, shortlist in product([*precisions, *rounded], [None, SHORTLIST]):
        words = ["checkpoint=last", f"precision={precision}", f"device={options.device}"]
        if shortlist:
            words.append(f"shortlist={shortlist}")
        kind = f"{precision}, shortlist={shortlist}" if shortlist else precision
        yield ours("our_decoding.py", TRANSFORMER, kind, *given, *words)
    if not peers_wanted(options.peers):
        return
    folder = str(subject.folder)
    for precision in precisions:
        yield peer("Hugging Face", "marian_decoding.py", TRANSFORMER, precision, folder, precision)
    # A worker with all threads, or as many workers as threads: which is faster depends on the sizes.
    for workers, threads in dict.fromkeys([(1, options.threads), (options.threads, 1)]):
        for compute in ("float32", "int8"):  # its bfloat16 needs what few processors have
            name = f"CTranslate2, {workers} x {threads}"
            words = [folder, compute, str(workers), str(threads)]
            yield peer(name, "ctranslate2_decoding.py", TRANSFORMER, compute, *words)


def report(beam: str, turns: Mapping[Contestant, list[Figures]], subject: Subject) -> list[dict[str, Any]]:
    """The tables of one beam size, and its figures for other programs."""
    first = next(iter(turns))
    texts = {one: subject.tokenizer.target.decode(each[-1]["hypotheses"]) for one, each in turns.items()}
    metrics = {name: part() for name, part in subject.settings.metrics.items()}
    lines, figures = [], []
    speed = {one: rates(each, "sentences") for one, each in turns.items()}
    for one, each in turns.items():
        bleu = score_texts(texts[one], subject.corpus, metrics)["bleu"]
        same = np.mean([mine == other for mine, other in zip(texts[one], texts[first], strict=True)])
        lines.append(line(one, each, speed[one], [f"{bleu.value:.2f}", f"{same:.1%}"]))
        scores = {"bleu": bleu.plain(), "same_text_as_first": float(same), "beam": int(beam)}
        figures.append(record(one, [without_texts(turn) for turn in each], "sentences", scores))
    print(f"\n## {'Greedy search' if beam == '1' else f'Beam {beam}'}\n")
    table(HEADS, lines)
    print()
    table(["", "times as fast as", "in sentences/s"], list(comparisons(speed)))
    return figures


def line(contestant: Contestant, turns: Sequence[Figures], speed: Sample, scores: Sequence[str]) -> list[str]:
    """A row of the table."""
    tokens = [f"{rates(turns, side).median:,.0f}" for side in ("target_tokens", "source_tokens")]
    length = turns[-1]["target_tokens"] / turns[-1]["sentences"]
    return [str(contestant), spread_text(speed), *tokens, f"{length:.1f}", *scores, f"{turns[-1]['peak_mib']:,.0f}"]


def comparisons(speed: Mapping[Contestant, Sample]) -> Iterator[list[str]]:
    """Each of ours against the peers, and against ours in fp32."""
    for mine, other in product(speed, speed):
        compared = other.program != "ours" or (other.precision == "fp32" and mine != other)
        if mine.program == "ours" and compared:
            yield [str(mine), str(other), f"{speed[mine].over(speed[other]):.2f}"]


def without_texts(turn: Figures) -> Figures:
    """All but the sentences themselves."""
    return {name: figure for name, figure in turn.items() if name != "hypotheses"}


if __name__ == "__main__":
    main()
