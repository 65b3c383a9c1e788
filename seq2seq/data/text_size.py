"""How much training text there is: its pairs, and about how many words."""

import time
from pathlib import Path

import numpy as np

from seq2seq.config.presets import TextSize
from seq2seq.config.schema import TrainSettings
from seq2seq.data.stored import Column, store_texts
from seq2seq.errors import Seq2SeqError, memory_errors
from seq2seq.runtime.torchrun import place

SAMPLE = 5000  # texts of a side whose words are counted
LINGER = 5.0  # seconds
LETTERS = 2  # of a word in text without spaces (Chinese, Japanese)


@memory_errors("preparing the data")
def training_text(settings: TrainSettings) -> TextSize:
    """The size of the training text, which is read into the cache, where the training finds it. Raises DataError."""
    data = settings.data()
    try:
        for split in ("train", "valid"):
            data.check_split(split)
        texts = store_texts(data, "train", Path(settings.cache_dir))
    except Seq2SeqError:
        if place().rank > 0:  # all processes have the error: the first reports it, then torchrun ends this one
            time.sleep(LINGER)
        raise
    return TextSize(len(texts), count_words(texts.source) + count_words(texts.target))


def count_words(column: Column) -> int:
    """The words of some texts; of more than SAMPLE, an estimate of three digits, from that many evenly spaced ones and
    the bytes of all."""
    rows = np.unique(np.linspace(0, len(column) - 1, min(SAMPLE, len(column))).astype(int)).tolist()
    texts = [column[row] for row in rows]
    spaced = sum(" " in text for text in texts) >= len(texts) / 2
    words = sum(len(text.split()) if spaced else len(text) // LETTERS for text in texts)
    if len(texts) == len(column):
        return words
    read = sum(len(text.encode()) for text in texts)
    return int(float(f"{words * column.size / max(read, 1):.3g}"))
