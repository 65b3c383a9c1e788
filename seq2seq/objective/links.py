"""Word alignments of the training pairs, as distributions over source pieces: Chen et al. (2016), arXiv:1607.01628."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.data.encoded import EncodedCorpus
from seq2seq.data.links import read_links
from seq2seq.data.stored import CHUNK, StoredTexts
from seq2seq.tokenizer import Tokenizer, Vocabulary
from seq2seq.types import BOS, EOS, PAD, Batch

SPACE = "\u2581"  # as pieces show it


class Links:
    """Line N of a file has the links of line N of the training text: `0-0 2-1`, source and target words from 0.

    Words are separated by spaces; pieces show where they begin, so sampled segmentations need no other file. Raises
    DataError naming the line.
    """

    def __init__(self, path: Path, train: EncodedCorpus, tokenizer: Tokenizer) -> None:
        texts = train.pairs.texts
        self.links = read_links(path, len(texts), key="objective.links")
        self.links.check(_lengths(texts), f"objective.links={path}")
        self.rows = train.pairs.rows
        # Words of data.source_prefix and of data.target_prefix.
        self.before = np.array([len(f"{texts.source_prefix}x".split()) - 1, len(texts.target_prefix.split())])
        self.source, self.target = (Words(side) for side in (tokenizer.source, tokenizer.target))
        self.fingerprint = hashlib.sha256(self.links.words.tobytes() + self.links.offsets.tobytes()).hexdigest()

    def __call__(self, batch: Batch) -> Float[Tensor, "B T S"]:
        """For each target piece of a linked word the pieces of the source words linked to it, equally likely; zeros for
        other target pieces."""
        source, target = self.source(batch.source), self.target(batch.target_out)
        each = [self.links.of(row) for row in self.rows[batch.pair_ids.cpu().numpy()].tolist()]
        pairs = np.repeat(np.arange(len(each)), [len(links) for links in each])
        links = np.concatenate(each) + self.before
        # Word -1, the last row and column, is linked to none.
        shape = (len(each), 2 + int(target.max()), 2 + int(source.max()))
        there = (links[:, 1] < shape[1] - 1) & (links[:, 0] < shape[2] - 1)
        linked = torch.zeros(shape)
        linked[pairs[there], links[there, 1], links[there, 0]] = 1
        linked = linked.to(source.device)
        by_target = linked.gather(1, (target % shape[1]).unsqueeze(-1).expand(-1, -1, shape[2]))
        wanted = by_target.gather(2, (source % shape[2]).unsqueeze(1).expand(-1, target.shape[1], -1))
        return wanted / wanted.sum(-1, keepdim=True).clamp(min=1)


def _lengths(texts: StoredTexts) -> Iterator[tuple[int, int]]:
    """Source and target words of each pair."""
    for start in range(0, len(texts), CHUNK):
        sides = (side[start : start + CHUNK] for side in (texts.source, texts.target))
        yield from ((len(source.split()), len(target.split())) for source, target in zip(*sides, strict=True))


class Words:
    """Which word each piece belongs to."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        processor = vocabulary.processor
        pieces = [processor.id_to_piece(index).replace(SPACE, " ") for index in range(vocabulary.size)]
        self.begins = torch.tensor([piece[:1].isspace() for piece in pieces])
        self.space = torch.tensor([piece.isspace() for piece in pieces])
        self.text = ~self.space
        self.text[[PAD, BOS, EOS]] = False

    def __call__(self, ids: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
        """The number of each piece's word, from 0; -1 for repeated spaces, padding and end symbols.

        A space or line break of its own belongs to the word that follows.
        """
        begins, space, text = (table.to(ids.device)[ids] for table in (self.begins, self.space, self.text))
        edge = torch.zeros_like(text[:, :1])
        space = space & torch.cat(((text & ~begins)[:, 1:], edge), 1)
        inside = text | space
        after_other = ~torch.cat((edge, inside[:, :-1]), 1)
        return (inside & (begins | after_other)).cumsum(1).sub(1).masked_fill(~inside, -1)
