"""A model whose sentences may have a few target tokens each, as in Jean et al. (2015), arXiv:1412.2007, whose candidate
lists are here each sentence's own."""

from dataclasses import replace

from seq2seq.generator.shortlist import Shortlist
from seq2seq.model.model import Model, ModelState
from seq2seq.types import Memory


class Shortlisted(Model):
    """The parts of `model`, for the search of one batch: in the place of target ids are columns of `shortlist`.

    Log-probabilities are those of a sentence's own tokens, made to sum to 1. None depends on another sentence.
    """

    def __init__(self, model: Model, shortlist: Shortlist) -> None:
        super().__init__(encoder=model.encoder, pooling=model.pooling, decoder=model.decoder, generator=model.generator)
        self.shortlist = shortlist

    def start(self, memory: Memory) -> ModelState:
        """The state before the first token, with the shortlist as the generator reads it."""
        return replace(super().start(memory), shortlist=self.generator.prepare(self.shortlist))
