"""The test sets that sacreBLEU distributes, Post (2018), arXiv:1804.08771, from its cache; nothing is downloaded."""

import hashlib
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from seq2seq.data.text import TextData, hash_file, read_lines, suggestion
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Pair

SPLIT = "test"


class SacrebleuTestSet(TextData):
    """The split `test`: a test set of sacreBLEU's for a pair of languages (`de-en`), with all its references.

    The texts are those that `sacrebleu -t TEST_SET -l PAIR` scores against. Raises ConfigError for an unknown test set
    or pair.
    """

    def __init__(self, *, test_set: str, pair: str, source_prefix: str = "", target_prefix: str = "") -> None:
        from sacrebleu.dataset import DATASETS

        if test_set not in DATASETS:
            raise ConfigError(f"data.test_set: sacreBLEU has no {test_set!r}{suggestion(test_set, DATASETS)}")
        self.dataset = DATASETS[test_set]
        if pair not in self.dataset.langpairs:
            raise ConfigError(f"data.pair: {test_set} has no {pair!r}{suggestion(pair, self.dataset.langpairs)}")
        self.test_set, self.pair = test_set, pair
        self.source_prefix, self.target_prefix = source_prefix, target_prefix

    def splits(self) -> tuple[str, ...]:
        """Only 'test'."""
        return (SPLIT,)

    def check_split(self, split: str) -> None:
        """Raise DataError for another split than 'test'."""
        if split != SPLIT:
            raise DataError(
                f"data=sacrebleu has only the split 'test', there is no '{split}'; a run is trained on other data and "
                "then evaluated on this"
            )

    def read(self, split: str) -> Iterator[Pair]:
        """A pair per line, white space at the ends removed as sacreBLEU does. Raises DataError."""
        for source, *references in zip_longest(*map(read_lines, self.files(split))):
            if source is None or None in references:
                raise DataError(
                    f"{self.test_set}, {self.pair}: the files in {self._folder()} differ in length. Remove the folder, "
                    f"then fetch the test set again: {self._command()}"
                )
            texts = [text.rstrip() for text in references]
            yield Pair(source.strip(), texts[0], tuple(texts) if len(texts) > 1 else ())

    def fingerprint(self, split: str) -> str:
        """A hash of the files' bytes."""
        return hashlib.sha256("".join(["sacrebleu", *map(hash_file, self.files(split))]).encode()).hexdigest()

    def files(self, split: str) -> list[Path]:
        """The file of the sources, then those of the references. Raises DataError if they are not in the cache."""
        self.check_split(split)
        source, *references = (Path(self.dataset._get_txt_file_path(self.pair, field)) for field in self._fields())
        found = [path for path in references if path.is_file()]
        # Of the references that a newer set allows a pair may have some, of older ones it has all.
        if not source.is_file() or not found or (len(found) < len(references) and not self._allowed()):
            raise DataError(
                f"{self.test_set}, {self.pair} is not in sacreBLEU's cache ({self._folder()}). Nothing is downloaded "
                f"here; to fetch it: {self._command()}"
            )
        return [source, *found]

    def _fields(self) -> list[str]:
        """sacreBLEU's names of the columns that are read."""
        references = self._allowed() or [name for name in self.dataset.fieldnames(self.pair) if name.startswith("ref")]
        return ["src", *references]

    def _allowed(self) -> list[str]:
        """Of the sets with labelled references (from 2021 on), those that sacreBLEU scores against; empty for the
        others, whose columns are known without their files."""
        labelled: Any = getattr(self.dataset, "_get_langpair_allowed_refs", None)
        return labelled(self.pair) if labelled else []

    def _folder(self) -> Path:
        return Path(self.dataset._outdir)

    def _command(self) -> str:
        return f"sacrebleu --download {self.test_set} -l {self.pair}"
