"""Word alignments of the training pairs, as distributions over source pieces: Chen et al. (2016), arXiv:1607.01628."""

from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.data.encoded import EncodedCorpus
from seq2seq.data.links import read_links
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
        found = read_links(path, len(texts), key="objective.links")
        prefix = len(texts.prefix.split())  # words of data.source_prefix
        self.links = [torch.tensor(found[row], dtype=torch.long).reshape(-1, 2) for row in train.pairs.rows.tolist()]
        for each in self.links:
            each[:, 0] += prefix
        self.source, self.target = (Words(side) for side in (tokenizer.source, tokenizer.target))

    def __call__(self, batch: Batch) -> Float[Tensor, "B T S"]:
        """For each target piece of a linked word the pieces of the source words linked to it, equally likely; zeros for
        other target pieces."""
        source, target = self.source(batch.source), self.target(batch.target_out)
        each = [self.links[pair] for pair in batch.pair_ids.tolist()]
        rows = torch.arange(len(each)).repeat_interleave(torch.tensor([len(links) for links in each]))
        sources, targets = torch.cat(each).to(source.device).unbind(1)
        # Word -1, the last row and column, is linked to none.
        shape = (len(each), 2 + _largest(target, targets), 2 + _largest(source, sources))
        linked = torch.zeros(shape, device=source.device)
        linked[rows.to(source.device), targets, sources] = 1
        by_target = linked.gather(1, (target % shape[1]).unsqueeze(-1).expand(-1, -1, shape[2]))
        wanted = by_target.gather(2, (source % shape[2]).unsqueeze(1).expand(-1, target.shape[1], -1))
        return wanted / wanted.sum(-1, keepdim=True).clamp(min=1)


def _largest(*words: Int[Tensor, "..."]) -> int:
    return max(int(each.max()) for each in words if each.numel())


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
