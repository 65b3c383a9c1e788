"""Ours, in turns: python benchmarks/our_decoding.py RUN PAIRS.npz WORD...

The words are those of scripts/translate.py. A turn's word is the beam's size, 1 for greedy. Token ids in, token ids
out, through the search that validation, evaluation and translation all use. On a GPU each answer has its peak memory.
"""

import sys
import time
from pathlib import Path

from measuring import gpu_memory
from peers.exchange import read_pairs
from peers.turns import Turns, decoded
from report import PACKAGES

from seq2seq.config import CONFIGS, compose, load_run
from seq2seq.config.schema import TranslateSettings
from seq2seq.inference.shortlists import open_shortlists
from seq2seq.inference.trained_model import load_trained
from seq2seq.runtime.device import keep_freed_memory
from seq2seq.runtime.forks import allow_forks
from seq2seq.search.decode import decode


def main() -> None:
    turns = Turns()
    keep_freed_memory()  # as the commands do, in what follows, too
    allow_forks()
    run, file, *words = sys.argv[1:]
    sources = read_pairs(Path(file)).sources()
    searches = {}
    for beam in ("1", "5"):
        search = ["search=greedy"] if beam == "1" else ["search=beam", f"search.beam_size={beam}"]
        composed = compose(CONFIGS, "translate", [f"run={run}", *search, *words])
        script, settings = load_run(composed, TranslateSettings)
        searches[beam] = settings.search().without_scores()
    trained = load_trained(run, settings, script.checkpoint, script.ensemble)
    shortlists = open_shortlists(trained, settings, script.shortlist)
    turns.ready(*PACKAGES)
    while True:
        search = searches[turns.wait()]
        began = time.perf_counter()
        with trained.runtime.autocast():
            found = decode(
                trained.search_model,
                search,
                sources,
                device=trained.runtime.device,
                tokens_per_batch=settings.trainer.tokens_per_batch,
                shortlists=shortlists,
            )
        seconds = time.perf_counter() - began
        best = [hypotheses[0].tokens for hypotheses in found]
        turns.answer(seconds=seconds, **decoded(sources, best), **gpu_memory())


if __name__ == "__main__":
    main()
