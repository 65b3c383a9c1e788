"""Hugging Face's generate, in turns: python marian_decoding.py FOLDER fp32|bf16.

The folder holds task.json, test.npz and marian.npz: our weights under its names. A turn's word is the beam's size. The
first turn of a size tries several batch sizes, and the fastest is kept.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from batching import Ids, longest_first
from decoding import decode_in_turns
from exchange import BOS, EOS, PAD, read_pairs, read_task
from marian import fresh_model
from transformers import MarianMTModel
from turns import Turns


def main() -> None:
    turns = Turns()
    folder, precision = Path(sys.argv[1]), sys.argv[2]
    model = trained_model(folder).to(torch.bfloat16 if precision == "bf16" else torch.float32)
    sources = read_pairs(folder / "test.npz").sources()
    turns.ready("transformers", "torch", "numpy")
    decode_in_turns(turns, sources, partial(generate, model, sources))


def trained_model(folder: Path) -> MarianMTModel:
    """A MarianMT with the weights that were handed over."""
    model = fresh_model(read_task(folder))
    with np.load(folder / "marian.npz") as arrays:
        given = {name: torch.from_numpy(arrays[name]) for name in arrays}
    left = model.load_state_dict(given, strict=False)
    assert not left.unexpected_keys, left.unexpected_keys
    model.tie_weights()
    return model.eval()


@torch.inference_mode()
def generate(model: MarianMTModel, sources: Ids, beam: int, size: int) -> Ids:
    """The best hypothesis of each source, as ids without the symbols around them."""
    hypotheses: Ids = [[] for _ in sources]
    for rows in longest_first(sources, size):
        longest = len(sources[rows[0]]) + 1
        ids = torch.full((len(rows), longest), PAD)
        for row, number in enumerate(rows):
            ids[row, : len(sources[number]) + 1] = torch.tensor([*sources[number], EOS])
        found = model.generate(
            input_ids=ids,
            attention_mask=(ids != PAD).long(),
            num_beams=beam,
            do_sample=False,
            early_stopping=beam > 1,  # as ours: a sentence is done when as many hypotheses have ended
            length_penalty=1.0,
            max_new_tokens=2 * longest + 10,
        )
        for number, row in zip(rows, found.tolist(), strict=True):
            hypotheses[number] = [token for token in row if token not in (PAD, BOS, EOS)]
    return hypotheses


if __name__ == "__main__":
    main()
