"""Pretrained word vectors as the first values of embeddings, from a text file with a word and its numbers per line, the
format of word2vec, GloVe and fastText.

The first line may be their count and width.
"""

import logging
import math
import re
from collections.abc import Collection, Iterator
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.config.schema import TrainSettings
from seq2seq.data.text import read_lines
from seq2seq.errors import ConfigError, DataError
from seq2seq.model.model import Model
from seq2seq.tokenizer import Tokenizer, Vocabulary
from seq2seq.types import EOS

WORD_BEGINS = "\u2581"  # SentencePiece's sign for a space
HEADER = re.compile(r"\d+ \d+\s*")
READERS = {"source": "encoder", "target": "decoder"}

log = logging.getLogger(__name__)


def vector_problems(settings: TrainSettings) -> list[str]:
    """A line for a file that has no table of its own to fill."""
    if settings.tie == "all" and settings.embedding.target_vectors is not None:
        return ["embedding.target_vectors: with tie=all there is one table, which embedding.source_vectors fills"]
    return []


def check_vectors(settings: TrainSettings) -> None:
    """Look at the beginning of each file that is given. Raises DataError where it cannot be read or holds no vectors,
    ConfigError where they are of another width than the embeddings."""
    size = settings.embedding.size
    for side, path in _files(settings):
        width = _width(path)
        if width != size:
            raise ConfigError(
                f"embedding.{side}_vectors: those of {path} have {width} numbers, and embedding.size is {size}: "
                f"set embedding.size={width}, or give other vectors"
            )


def fill_embeddings(settings: TrainSettings, model: Model, tokenizer: Tokenizer) -> None:
    """Give the pieces that are words of the files their vectors. Raises DataError naming the file and its line."""
    for side, path in _files(settings):
        table = model.get_submodule(f"{READERS[side]}.embedding.table")
        assert isinstance(table, nn.Embedding)
        words = words_of(getattr(tokenizer, side))
        found = read_vectors(path, set(words.values()), table.embedding_dim)
        rows = [index for index, word in words.items() if word in found]
        if not rows:
            raise DataError(
                f"embedding.{side}_vectors: {path} has a vector for none of the {len(words):,} pieces of the {side} "
                "vocabulary; give vectors of that language"
            )
        factor = fill(table, rows, torch.tensor([found[words[index]] for index in rows]))
        share = f"{len(rows):,} of {len(words):,} pieces ({len(rows) / len(words):.1%})"
        log.info(
            "%s vectors of %s, times %.3g: %s have one; the others are initialised at random", side, path, factor, share
        )


def words_of(vocabulary: Vocabulary) -> dict[int, str]:
    """The word whose vector each piece takes, by id: the piece itself, without the sign that it begins a word.

    Reserved pieces, bytes and the bare sign have none.
    """
    pieces = vocabulary.processor
    ids = [index for index in range(EOS + 1, vocabulary.size) if not pieces.is_byte(index)]
    words = {index: pieces.id_to_piece(index).removeprefix(WORD_BEGINS) for index in ids}
    return {index: word for index, word in words.items() if word}


def fill(table: nn.Embedding, rows: list[int], vectors: Float[Tensor, "N E"]) -> float:
    """Write the vectors into these rows, all times the one factor that is returned.

    It makes their mean square length 1, that of the random rows N(0, 1/E) which they replace: as inputs they then have
    the scale of the other rows, and as tied output weights they do not start with larger logits. Angles and relative
    lengths do not change.
    """
    length = float(vectors.square().sum(1).mean().sqrt())
    factor = 1 / length if length > 0 else 1.0
    with torch.no_grad():
        table.weight[rows] = vectors * factor
    return factor


def read_vectors(path: Path, words: Collection[str], width: int) -> dict[str, list[float]]:
    """The vectors of those of `words` that the file has; of a word that occurs twice, the first.

    The file is streamed, and lines of other words are skipped. A word with a space is not a piece: its line, longer
    than `width`, is skipped too. Raises DataError with the file and the line.
    """
    found: dict[str, list[float]] = {}
    for number, word, rest in _entries(path):
        if word in words and word not in found:
            numbers = rest.split()
            if len(numbers) <= width:
                found[word] = _parsed(numbers, width, f"{path}, line {number}")
    return found


def _parsed(numbers: list[str], width: int, place: str) -> list[float]:
    if len(numbers) < width:
        raise DataError(f"{place}: expected a word and {width} numbers, found {len(numbers)}. Correct the line.")
    try:
        vector = [float(number) for number in numbers]
    except ValueError as error:
        raise DataError(f"{place}: {error}; expected a word and {width} numbers. Correct the line.") from error
    if not all(map(math.isfinite, vector)):
        raise DataError(f"{place}: a number is not finite. Correct or remove the line.")
    return vector


def _files(settings: TrainSettings) -> Iterator[tuple[str, Path]]:
    """The files that are given, each with the side it is for."""
    for side in READERS:
        file = getattr(settings.embedding, f"{side}_vectors")
        if file is not None:
            yield side, Path(file)


def _width(path: Path) -> int:
    """How many numbers the file's vectors have, by its first line."""
    for _, _, rest in _entries(path):
        return len(rest.split())
    raise DataError(f"{path} contains no vectors; each line must be a word and its numbers, with spaces between")


def _entries(path: Path) -> Iterator[tuple[int, str, str]]:
    """Each line's number, its word and what follows the first space; a header is left out."""
    for number, line in enumerate(read_lines(path), start=1):
        if number > 1 or not HEADER.fullmatch(line):
            word, _, rest = line.partition(" ")
            yield number, word, rest
