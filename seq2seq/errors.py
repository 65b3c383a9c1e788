"""Errors a user can cause. Each message is a few lines that name the file, the key or the line and what to do."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_ACCESS = (errno.EACCES, errno.EPERM, errno.EROFS)
# Parts of the messages of out-of-memory errors: torch on a CPU, CUDA and its libraries, C++, the dynamic loader.
NO_MEMORY = (
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "cuda error: out of memory",
    "_alloc_failed",
    "std::bad_alloc",
    "failed to map segment",
)
NO_KERNEL = "could not create a primitive"  # all that oneDNN says where there is no memory for a kernel of its own
# Advice by activity: the keys that determine its memory.
ADVICE = {
    "starting": "raise the limit of the process (ulimit -v): PyTorch alone needs more",
    "training": "lower trainer.tokens_per_batch (each update keeps the same pairs), or length.max_source and "
    "length.max_target",
    "decoding": "lower trainer.tokens_per_batch, or search.beam_size or search.samples where the search has one",
    "preparing the data": "lower tokenizer.training_lines or tokenizer.vocab_size, or give less text",
    "building the model": "lower tokenizer.vocab_size, embedding.size, encoder.hidden_size and decoder.hidden_size, or "
    "their layers",
    "loading the checkpoint": "give it more memory, or device=cpu where a GPU has too little",
}


class Seq2SeqError(Exception):
    """Base class: `exit_code` is the status the scripts end with.

    If several processes have the same error, one reports it; in the others `reported` is True.
    """

    exit_code: ClassVar[int] = 1
    reported: bool = False


class ConfigError(Seq2SeqError):
    """An error in the YAML files or on the command line."""

    exit_code = 2


class DataError(Seq2SeqError):
    """Text that cannot be read or used."""

    exit_code = 3


class CheckpointError(Seq2SeqError):
    """A run folder or checkpoint that is missing, broken or of another model."""

    exit_code = 4


class StorageError(Seq2SeqError):
    """A disk that is full, read-only or failing. `what` is the message without its `advice`."""

    exit_code = 5

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(f"{what}. {advice}" if advice else what)
        self.what = what


class ClosedPipe(Seq2SeqError):
    """The output was closed by its reader (`| head`): no error of the user, so there is no message.

    The exit code is that of a program ended by SIGPIPE.
    """

    exit_code = 141


class NonFiniteLossError(Seq2SeqError):
    """The loss or its gradient is not finite."""

    exit_code = 6


class PeerError(Seq2SeqError):
    """Another process of the same run has failed, or does not respond."""

    exit_code = 7


class OutOfMemoryError(Seq2SeqError):
    """The device has no memory left for a batch."""

    exit_code = 8


class Stopped(Seq2SeqError):
    """A signal asked the process to stop; everything is saved. The exit code is 128 + the signal's number."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number  # type: ignore[misc]


def storage_failure(doing: str, error: Exception) -> Seq2SeqError:
    """The error for a failed write: a ClosedPipe, or a StorageError that begins with 'cannot `doing`'."""
    if isinstance(error, BrokenPipeError):
        return ClosedPipe()
    if is_out_of_memory(error):
        return memory_failure(f"trying to {doing}")
    number = _number(error)
    advice = "make room, then " if number in NO_ROOM else "give write access, then " if number in NO_ACCESS else ""
    return StorageError(
        f"cannot {doing}: {_reason(error)}",
        f"What was saved before is intact: {advice}start the same command again",
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error means that a device or machine is out of memory, whichever library raised it."""
    if (
        isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    ):  # torch's class, without importing torch
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOMEM
    message = str(error).lower()
    if not isinstance(error, RuntimeError | ImportError | OSError):
        return False
    return message == NO_KERNEL or any(words in message for words in NO_MEMORY)


def memory_failure(doing: str = "working") -> OutOfMemoryError:
    """The error that names the keys to lower."""
    return OutOfMemoryError(f"out of memory while {doing}: {ADVICE.get(doing, ADVICE['training'])}")


def pair_too_large(doing: str, text: str, line: int, source: int, target: int) -> OutOfMemoryError:
    """The error for a pair that does not fit even alone, with so many tokens of both sides, the end symbols counted.
    `text` is the split whose line it is."""
    advice = {"decoding": "search.beam_size"}.get(doing, "length.max_source and length.max_target")
    return OutOfMemoryError(
        f"out of memory while {doing}: the pair of line {line:,} of the {text} text does not fit even alone, as a "
        f"batch of 1 x {source} source and 1 x {target} target tokens; lower {advice}, make the model smaller, or "
        "give it more memory"
    )


@contextmanager
def memory_errors(doing: str) -> Iterator[None]:
    """For a block or a function: converts out-of-memory errors to an OutOfMemoryError with advice."""
    try:
        yield
    except (MemoryError, RuntimeError, ImportError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        raise memory_failure(doing) from error


def _number(error: Exception) -> int | None:
    """The system's error number: safetensors only has it in its message."""
    if isinstance(error, OSError):
        return error.errno
    match = re.search(r"\(os error (\d+)\)", str(error))
    return int(match[1]) if match else None


def _reason(error: Exception) -> str:
    """The system's message, if any: safetensors wraps it in a sentence."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).replace("Error while serializing: I/O error: ", "")
