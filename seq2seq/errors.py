"""Errors a user can cause. Each message is a few lines that name the file, the key or the line and what to do."""

from typing import ClassVar


class Seq2SeqError(Exception):
    """Base class: `exit_code` is the status the scripts end with.

    Of several processes that meet the same error one tells it; in the others it is `told` already.
    """

    exit_code: ClassVar[int] = 1
    told: bool = False


class ConfigError(Seq2SeqError):
    """A mistake in the YAML files or on the command line."""

    exit_code = 2


class DataError(Seq2SeqError):
    """Text that cannot be read or used."""

    exit_code = 3


class CheckpointError(Seq2SeqError):
    """A run folder or checkpoint that is missing, broken or of another model."""

    exit_code = 4


class StorageError(Seq2SeqError):
    """A disk that is full, read-only or failing."""

    exit_code = 5


class NonFiniteLossError(Seq2SeqError):
    """The loss or its gradient is no longer a number."""

    exit_code = 6


class PeerError(Seq2SeqError):
    """Another process of the same run has failed, or does not answer."""

    exit_code = 7


class OutOfMemoryError(Seq2SeqError):
    """The device has no memory left for a batch."""

    exit_code = 8


class Stopped(Seq2SeqError):
    """A signal asked the process to stop; everything is saved. The exit code is 128 + the signal's number."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number  # type: ignore[misc]
