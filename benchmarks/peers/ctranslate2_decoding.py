"""CTranslate2, in turns: python ctranslate2_decoding.py FOLDER float32|int8 WORKERS THREADS.

The folder holds task.json, test.npz and marian.npz: our weights under MarianMT's names, converted by CTranslate2's own
loader. WORKERS translate at once, with THREADS each. A turn's word is the beam's size; the first turn of a size tries
several batch sizes, and the fastest is kept.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

from batching import Ids, longest_first
from ctranslate2 import Translator
from ctranslate2.converters.transformers import BartLoader
from decoding import decode_in_turns
from exchange import EOS, PAD, read_pairs, read_task
from marian_decoding import trained_model
from turns import Turns

SYMBOLS = ("<pad>", "<unk>", "<s>", "</s>")


def main() -> None:
    turns = Turns()
    folder, compute = Path(sys.argv[1]), sys.argv[2]
    workers, threads = (int(number) for number in sys.argv[3:5])
    with tempfile.TemporaryDirectory() as scratch:
        convert(folder, scratch)
        translator = Translator(scratch, compute_type=compute, inter_threads=workers, intra_threads=threads)
    sources = read_pairs(folder / "test.npz").sources()
    tokens = [[*map(str, source), SYMBOLS[EOS]] for source in sources]
    turns.ready("ctranslate2", "transformers", "torch", "numpy", compute_type=translator.compute_type)
    decode_in_turns(turns, sources, partial(translate, translator, tokens))


def convert(folder: Path, target: str) -> None:
    """Write the model as CTranslate2 reads it; tokens are the ids as words."""
    model = trained_model(folder)
    # Its loader for MarianMT takes the last token for padding and starts from a zero embedding, as the models do that
    # are called so; the loader that it is made from converts any model of this kind.
    model.config.normalize_before = model.config.normalize_embedding = False
    spec = BartLoader().get_model_spec(model)
    vocabulary = [*SYMBOLS, *map(str, range(len(SYMBOLS), read_task(folder)["vocabulary"]))]
    spec.register_source_vocabulary(vocabulary)
    spec.register_target_vocabulary(vocabulary)
    spec.config.unk_token, spec.config.bos_token, spec.config.eos_token = SYMBOLS[PAD + 1 :]
    spec.config.decoder_start_token = spec.config.bos_token
    spec.validate()
    spec.optimize()
    spec.save(target)


def translate(translator: Translator, tokens: list[list[str]], beam: int, size: int) -> Ids:
    """The best hypothesis of each source. All batches are handed over at once, each with its own limit."""
    given = []
    for rows in longest_first(tokens, size):
        results = translator.translate_batch(
            [tokens[number] for number in rows],
            beam_size=beam,
            length_penalty=1.0,
            max_decoding_length=2 * len(tokens[rows[0]]) + 10,
            max_input_length=0,
            asynchronous=True,
        )
        given.append((rows, results))
    hypotheses: Ids = [[] for _ in tokens]
    for rows, results in given:
        for number, result in zip(rows, results, strict=True):
            best = result.result().hypotheses[0]
            hypotheses[number] = [int(token) for token in best if token not in SYMBOLS]
    return hypotheses


if __name__ == "__main__":
    main()
