"""A run's lexicon: learned from its training pairs at first use, then kept in its folder."""

import logging
import secrets
import zlib
from pathlib import Path
from zipfile import BadZipFile

from seq2seq.checkpoint.storage import storage_errors
from seq2seq.config.loading import load_stored
from seq2seq.config.schema import TrainSettings
from seq2seq.data.lexicon import Lexicon, learn_lexicon
from seq2seq.data.prepare import prepare_split
from seq2seq.errors import CheckpointError, ConfigError
from seq2seq.inference.trained_model import TrainedModel
from seq2seq.search.shortlists import Shortlists

log = logging.getLogger(__name__)


def check_shortlist(settings: TrainSettings, count: int | None) -> None:
    """Raises ConfigError for a search that compares texts: with a shortlist it has columns instead of tokens."""
    if count is not None and settings.search().compares_texts:
        given = settings.search.arguments
        words = given["unit"] != "tokens"
        key = f"search.unit={given['unit']}" if words else f"search.types=[{','.join(given['types'])}]"
        instead = "search.unit=tokens" if words else "search.types=[rougeL]"
        raise ConfigError(f"{key} and shortlist={count} cannot be combined: leave shortlist out, or give {instead}")


def open_shortlists(trained: TrainedModel, settings: TrainSettings, count: int | None) -> Shortlists | None:
    """Shortlists with `count` translations per source token; None if `count` is None.

    Raises DataError if both the lexicon and the training data are missing, CheckpointError if it cannot be read.
    """
    if count is None:
        return None
    file = trained.folder.lexicon_file
    if not file.exists():
        _learn(trained, settings)
    lexicon = read_lexicon(file, trained.tokenizer.source.size, trained.tokenizer.target.size)
    return Shortlists(lexicon, count, joint=trained.tokenizer.joint, device=trained.runtime.device)


def read_lexicon(file: Path, source_size: int, target_size: int) -> Lexicon:
    """What `Lexicon.save` wrote, for vocabularies of these sizes. Raises CheckpointError."""
    try:
        return Lexicon.load(file, source_size, target_size)
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror or error}") from error
    except (
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        NotImplementedError,
        RuntimeError,
        BadZipFile,
        zlib.error,
    ) as error:
        raise CheckpointError(
            f"{file} is damaged ({error}): delete it, and it is learned again from the training data"
        ) from error


def _learn(trained: TrainedModel, settings: TrainSettings) -> None:
    """From the pairs that the run was trained on, whatever data is evaluated, in the current data folder."""
    own = load_stored(str(trained.folder.path), data_root=settings.data_root)
    tokenizer, file = trained.tokenizer, trained.folder.lexicon_file
    cache = Path(settings.cache_dir)
    corpus = prepare_split(
        data=own.data(), split="train", tokenizer=tokenizer, length=own.length, cache=cache, drop=True
    )
    log.info("learning which tokens translate which, from the training data")
    lexicon = learn_lexicon(corpus, tokenizer.source.size, tokenizer.target.size)
    temporary = file.with_name(f".tmp-{secrets.token_hex(6)}-{file.name}")
    with storage_errors(f"write {file}"):
        try:
            lexicon.save(temporary)
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
