"""The sentences that an export is checked with: real ones, because a model repeats itself on nonsense."""

from dataclasses import dataclass
from itertools import islice

from seq2seq.config.schema import TrainSettings
from seq2seq.data.text import TextData
from seq2seq.errors import ConfigError, DataError
from seq2seq.inference.line_input import read_texts


@dataclass(frozen=True)
class Sentences:
    """Texts, and where they come from."""

    texts: list[str]
    origin: str


def sentences_for_check(path: str | None, settings: TrainSettings, count: int) -> Sentences:
    """The first `count` texts of the file; without one, of the run's validation or training data.

    Raises DataError for the file, ConfigError if there is no text.
    """
    if path is not None:
        found = [text for text in read_texts(path, settings, "source") if text.strip()][:count]
        if not found:
            raise ConfigError(f"input={path} has no text to check the export with")
        return Sentences(found, path)
    data: TextData = settings.data()
    failures = []
    for split in ("valid", "train"):
        try:
            data.check_split(split)
            found = [pair.source for pair in islice(data.read(split), count) if pair.source.strip()]
        except DataError as error:
            failures.append(str(error))
            continue
        if found:
            return Sentences(found, f"the run's {split} data")
    reason = failures[0] if failures else "it is empty"
    raise ConfigError(
        "input=FILE: must be given: sentences to check the export with; the run's own data cannot be read "
        f"({reason.splitlines()[0]})"
    )
