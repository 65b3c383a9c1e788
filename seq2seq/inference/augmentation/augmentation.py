"""A trained run writes training data: sequence-level knowledge distillation, Kim and Rush (2016), arXiv:1606.07947,
section 3.2 and, with keep=nearest, 3.3; back-translation, Sennrich et al. (2016), arXiv:1511.06709, section 3.2; with
several runs, data diversification, Nguyen et al. (2020), arXiv:1911.01986."""

import logging
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from seq2seq.config.command_line.program import command_line
from seq2seq.config.schema import AugmentSettings, TrainSettings
from seq2seq.data.text import TextData
from seq2seq.errors import ConfigError
from seq2seq.heartbeat import heartbeat
from seq2seq.inference.augmentation.corpus import Corpus, check_merged
from seq2seq.inference.augmentation.given import Given
from seq2seq.inference.augmentation.manifest import made_with, open_folder
from seq2seq.inference.augmentation.outputs import Outputs, TextDecoder
from seq2seq.inference.shortlists import check_shortlist, open_shortlists
from seq2seq.inference.trained_model import load_trained
from seq2seq.inference.translator import check_n_best
from seq2seq.reporting.progress import counting
from seq2seq.search.base import Search
from seq2seq.search.limits import count_limits, outputs_line

SILENCE = 60.0  # seconds between two lines on the progress where there is no bar

log = logging.getLogger(__name__)


def augment(script: AugmentSettings, settings: TrainSettings) -> None:
    """Translate the texts part by part, each kept as soon as it is done, then write the corpus into `output`."""
    search: Search = settings.search()
    _check(script, settings, search)
    data: TextData = settings.data()
    given = Given.of(script, settings, data)
    trained = load_trained(script.run, settings, script.checkpoint, script.ensemble)
    folder = Path(script.output)
    open_folder(folder, made_with(script, settings, trained, given))
    outputs = Outputs(folder)
    shortlists = open_shortlists(trained, settings, script.shortlist)
    decoder = TextDecoder(trained, settings, search.reading(trained.tokenizer.target), shortlists, script.n_best)
    _translate(decoder, given, outputs)
    corpus = Corpus(folder, script, settings, data)
    report = corpus.write(given, outputs)
    log.info("%s", report.line(folder))
    if nothing := report.no_new_line():
        log.warning("%s", nothing)
    if line := outputs_line(search, count_limits(report.limits.elements()), given.count):
        log.warning("%s", line)
    log.info("to train on it: %s", command_line("train", corpus.arguments()))


def _translate(decoder: TextDecoder, given: Given, outputs: Outputs) -> None:
    """Write the parts that are missing."""
    missing = [part for part in given.parts() if not outputs.has(part)]
    if not missing:
        return
    total = sum(map(given.size, missing))
    if total < given.count:
        log.info("%s of %s texts are translated already", f"{given.count - total:,}", f"{given.count:,}")
    wanted = set(missing)
    with _told_how_to_continue(), counting("translating", total, "texts") as count, _progress_lines(total) as progress:
        for part, pairs in given.chunks():
            if part in wanted:
                texts = [pair.source for pair in pairs]
                outputs.write(part, decoder(texts, first=given.first(part), on_batch=count))
                progress(len(texts))


@contextmanager
def _progress_lines(total: int) -> Iterator:
    """A function that is called with how many more texts are done: lines on the progress, if there is no bar."""
    done = 0
    lines = nullcontext(lambda text: None) if sys.stderr.isatty() else heartbeat("translating", silence=SILENCE)
    with lines as place:

        def progress(more: int) -> None:
            nonlocal done
            done += more
            place(f"{done:,} of {total:,} texts")

        yield progress


@contextmanager
def _told_how_to_continue() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        log.info("stopped: what was translated is kept; the same command continues")
        raise


def _check(script: AugmentSettings, settings: TrainSettings, search: Search) -> None:
    """Raise ConfigError for options that cannot work, before any file is read."""
    check_shortlist(settings, script.shortlist)
    check_n_best(script.n_best, settings, search)
    for problem in (*_direction_problems(script, settings), *_input_problems(script), *_choice_problems(script)):
        raise ConfigError(problem)
    check_merged(script)


def _direction_problems(script: AugmentSettings, settings: TrainSettings) -> Iterator[str]:
    """With both directions in a run, texts of either language are sources, and tags would be in the targets."""
    tags = settings.data.arguments.get("both_directions")
    if script.direction == "backward" and tags:
        one = f"data.both_directions=null data.source_prefix={shlex.quote(f'{tags[0]} ')}"
        yield f"direction=backward: the data of run={script.run} has both directions; choose one: {one}"


def _input_problems(script: AugmentSettings) -> Iterator[str]:
    if script.input == "-":
        yield "input=- is not supported: give input=/dev/stdin to read standard input"
    if script.input is not None and script.keep == "nearest":
        yield f"keep=nearest: input={script.input} has no targets to compare with; give split=NAME instead"
    if script.input is not None and script.split != "train":
        yield f"split={script.split}: input={script.input} is translated instead; leave out one of the two"


def _choice_problems(script: AugmentSettings) -> Iterator[str]:
    if script.keep != "all" and script.n_best == 1:
        yield f"keep={script.keep}: there is only one output to choose from; give n_best=5, for example"
    if script.keep != "nearest" and script.metric != "chrf":
        yield f"metric={script.metric}: only keep=nearest compares outputs; give keep=nearest as well"
