"""A dataset on the Hugging Face hub, or a local folder laid out like one; its files are read as Table reads them."""

import hashlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from seq2seq.data.columns import Columns, ColumnsOf, split_columns
from seq2seq.data.directions import Directions
from seq2seq.data.rows import SUFFIXES, format_of, read_rows
from seq2seq.data.text import TextData, hash_file, suggestion
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Pair

ON_THE_HUB = re.compile(r"hf://datasets/(?P<name>[^@]+)@(?P<revision>[^/]+)/(?P<file>.+)")


class Hub(TextData):
    """With a `revision`, the dataset of that name on the hub (commits are safest); without one, a local folder.

    `subset` is a configuration of the hub. train, valid, test and those of `extra` are the dataset's own names of its
    splits. Downloads are kept in the hub's cache; with HF_HUB_OFFLINE=1 only the cache is used. With the two tags of
    `both_directions` each pair is read in both (`Directions`).
    """

    split_words: ClassVar[str] = "data.{split}=SPLIT"

    def __init__(
        self,
        *,
        dataset: str,
        revision: str | None,
        subset: str | None,
        source: str,
        target: str,
        references: list[str],
        train: str,
        valid: str,
        test: str | None,
        extra: dict[str, str],
        columns_of: dict[str, ColumnsOf],
        source_prefix: str = "",
        target_prefix: str = "",
        both_directions: list[str] | None = None,
    ) -> None:
        self.dataset = dataset
        self.revision = revision
        self.subset = subset
        self.source_prefix, self.target_prefix = source_prefix, target_prefix
        self.directions = Directions(both_directions)
        given = {"train": train, "valid": valid, "test": test, **extra}
        self.names = {split: name for split, name in given.items() if name}
        problems = list(self.directions.problems(source_prefix, target_prefix))
        self.columns = split_columns(Columns(source, target, tuple(references)), columns_of, self.names, problems)
        if problems:
            raise ConfigError("\n".join(problems))
        self._files: dict[str, list[Path]] = {}

    def splits(self) -> tuple[str, ...]:
        """'train', 'valid', 'test' if given, then those of `extra`."""
        return tuple(self.names)

    def read(self, split: str) -> Iterator[Pair]:
        """One pair per row, or one for each direction, file after file. Raises DataError."""
        empty = True
        for path in self.files(split):
            for pair in self.columns[split].pairs(read_rows(path, str(format_of(path)))):
                empty = False
                yield from self.directions.of(pair)
        if empty:
            raise DataError(f"{split}: {self.dataset} has no rows in its split '{self.names[split]}'")

    def fingerprint(self, split: str) -> str:
        """A hash of the files' bytes and of their columns."""
        hashes = [hash_file(path) for path in self.files(split)]
        parts = f"{hashes} {self.columns[split]}{self.directions.fingerprint}"
        return hashlib.sha256(parts.encode()).hexdigest()

    def files(self, split: str) -> list[Path]:
        """A split's local files, downloaded if necessary. Raises DataError."""
        self.check_split(split)
        if split not in self._files:
            found = self._data_files()
            name = self.names[split]
            if name not in found:
                raise DataError(f"{self.dataset} has no split '{name}' (data.{split}){suggestion(name, found)}")
            self._files[split] = [self._fetch(file) for file in found[name]]
            for path in self._files[split]:
                if format_of(path) is None:
                    raise DataError(f"{path} has no known format; known suffixes: {', '.join(SUFFIXES)}")
        return self._files[split]

    def _data_files(self) -> dict[str, list[str]]:
        """Each of the dataset's splits with its files, by the hub's own rules (README, names of files)."""
        if self.revision is None:
            _check_folder(Path(self.dataset))
        import datasets

        logging.getLogger("datasets").setLevel(logging.CRITICAL)  # it logs what it raises
        try:
            where, commit = self._place()
            builder = datasets.load_dataset_builder(where, name=self.subset, revision=commit)
        except (DataError, MemoryError):
            raise
        except Exception as error:  # the libraries' own, of many kinds
            raise DataError(self._explain(error)) from error
        return {str(split): list(map(str, files)) for split, files in (builder.config.data_files or {}).items()}

    def _place(self) -> tuple[str, str | None]:
        """A folder and None, or the dataset's name and commit: requested once, because the library retries for 23 s."""
        if self.revision is None:
            return str(Path(self.dataset).absolute()), None
        import huggingface_hub

        if not huggingface_hub.constants.HF_HUB_OFFLINE:
            try:
                found = huggingface_hub.HfApi().dataset_info(self.dataset, revision=self.revision, timeout=10)
            except Exception as error:  # the library's and its network client's
                answered = hasattr(error, "response")
                hint = "" if answered else "; HF_HUB_OFFLINE=1 uses an earlier download"
                raise DataError(self._explain(error) + hint) from error
            return self.dataset, found.sha
        try:
            kept = huggingface_hub.snapshot_download(
                self.dataset, revision=self.revision, repo_type="dataset", local_files_only=True
            )
            return kept, None
        except huggingface_hub.errors.LocalEntryNotFoundError as error:
            raise DataError(
                f"HF_HUB_OFFLINE is set, and no earlier download of {self.dataset} at {self.revision} is cached "
                "here; unset it, or give a local folder and data.revision=null"
            ) from error

    def _fetch(self, file: str) -> Path:
        """A data file's local path, downloaded if it is on the hub."""
        there = ON_THE_HUB.match(file)
        if there is None:
            return Path(file)
        import huggingface_hub

        try:
            at: dict[str, Any] = {"revision": there["revision"], "repo_type": "dataset"}
            if huggingface_hub.file_exists(there["name"], "README.md", **at):  # names the splits, also offline
                huggingface_hub.hf_hub_download(there["name"], "README.md", **at)
            return Path(huggingface_hub.hf_hub_download(there["name"], there["file"], **at))
        except Exception as error:  # the library's own, of many kinds
            raise DataError(self._explain(error)) from error

    def _explain(self, error: Exception) -> str:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        at = f" at {self.revision}" if self.revision else ""
        return f"the dataset {self.dataset}{at} cannot be read: {reason}"


def _check_folder(folder: Path) -> None:
    """Raise DataError for a missing local folder, with the nearest existing one."""
    if not folder.is_dir():
        parent = folder.parent
        there = sorted(entry.name for entry in parent.iterdir() if entry.is_dir()) if parent.is_dir() else []
        raise DataError(
            f"data.dataset={folder} is not a folder here{suggestion(folder.name, there)}\n"
            "For a dataset of that name on the hub give its revision too: data.revision=main, or better a commit."
        )
