"""What surrounds each script: the command line checked first, errors to exit codes, a multirun's jobs."""

import errno
import functools
import gc
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from omegaconf import DictConfig

from seq2seq.config.command_line.check import check, check_words, is_for_hydra
from seq2seq.config.command_line.help import help_text
from seq2seq.config.command_line.multirun import Job, split_jobs
from seq2seq.config.command_line.overrides import take_apart
from seq2seq.config.command_line.own_folder import own_folder
from seq2seq.config.command_line.preset import preset_words
from seq2seq.config.command_line.program import program, under_torchrun
from seq2seq.config.command_line.script import Script
from seq2seq.config.composition import Composition, composition
from seq2seq.config.hydra_adapter import Options, run_task
from seq2seq.config.problems import Mistakes
from seq2seq.errors import (
    NO_ACCESS,
    NO_ROOM,
    ClosedPipe,
    ConfigError,
    Seq2SeqError,
    StorageError,
    is_out_of_memory,
    memory_failure,
)
from seq2seq.interrupts import Interrupted, end, interruptible
from seq2seq.runtime.device import keep_freed_memory
from seq2seq.runtime.forks import allow_forks
from seq2seq.runtime.torchrun import place
from seq2seq.streams import VisibleFormatter, finish_output, standard_streams, visible

_FIXED = "not supported; --config-dir DIR adds choices of your own, DIR/experiment/GROUP/NAME.yaml overrides all others"
DISK_TROUBLE = (*NO_ROOM, *NO_ACCESS, errno.EIO, errno.ESTALE)  # no mistake of ours, wherever it arises
LINGER = 5.0  # seconds: when the first process ends torchrun ends all, so that must be the one that reports the error
logger = logging.getLogger(__name__)


def launch(script: Script) -> NoReturn:
    """Run a script with the words of `sys.argv`. Ends the process with the error's exit code."""
    gc.freeze()  # what is imported stays: the collector need not go through it again and again
    keep_freed_memory()
    allow_forks()
    with standard_streams(), interruptible():
        code = _launched(script)
    end(code)


def _launched(script: Script) -> int:
    main_process = place().rank == 0  # of several, it alone reports
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(VisibleFormatter("%(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING if main_process else logging.ERROR)
    logging.getLogger("seq2seq").setLevel(logging.INFO if main_process else logging.ERROR)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of ending the process with exit 1
    return _guarded(lambda: _launch(script, sys.argv[1:]))


def _launch(script: Script, arguments: Sequence[str]) -> int:
    options, flags, words = _split(arguments)
    if options.config_dir is not None:
        script = replace(script, own=_own_folder(options.config_dir, arguments, script))
        flags = [flag for flag in flags if not flag.startswith("--config-dir")]
    if options.hydra_help or options.shell_completion:  # nothing is run: no run need be named
        return _call(script, [*flags, *words], arguments)
    if options.help:
        print(visible(help_text(script.library, words)))
        return 0
    unknown = [f"{word}: no such option (--help lists them)" for word in words if word.startswith("-")]
    unknown += [f"{flag}: {_FIXED}" for flag in flags if flag.startswith(("--config-", "--experimental"))]
    _check_processes(script, options.multirun)
    words = [word for word in words if not word.startswith("-")]
    if not options.multirun:
        return _start(script, flags, words, _checked(script, words, unknown), arguments)
    if mistakes := [*unknown, *check_words(script.library, [take_apart(word) for word in words])]:
        raise Mistakes(mistakes)
    # Other sweepers and launchers (hydra/launcher=submitit_slurm) are left to Hydra.
    if any(word.startswith(("hydra/launcher=", "hydra/sweeper=")) for word in words):
        return _call(script, [*flags, *script.library.search_path, *words], arguments)
    return _multirun(script, [flag for flag in flags if flag != "--multirun"], words, arguments)


def _own_folder(typed: str, arguments: Sequence[str], script: Script) -> Path:
    """The folder that --config-dir adds; raises Mistakes."""
    if sum(word.partition("=")[0] in ("--config-dir", "-cd") for word in arguments) > 1:
        raise Mistakes(["--config-dir (-cd): one folder can be added; give it once"])
    return own_folder(typed, script.folder)


def _check_processes(script: Script, multirun: bool) -> None:
    """Raise Mistakes for what several processes cannot do."""
    if place().size > 1 and script.name != "train":
        alone = program(script.name)
        raise Mistakes([f"torchrun is for training ({under_torchrun('train')}); start this as {alone} ..."])
    if place().size > 1 and multirun:
        raise Mistakes(["--multirun (-m): torchrun starts one run; start torchrun once per run"])


def _checked(script: Script, words: Sequence[str], lines: Sequence[str]) -> tuple[list[str], Composition]:
    """The words for Hydra, and what they compose; raises Mistakes if there are `lines` already, or more of them."""
    try:
        ready = check(script, words)
    except Mistakes as mistakes:
        raise Mistakes([*lines, *mistakes.lines]) from mistakes
    if lines:
        raise Mistakes(lines)
    return ready


def _split(arguments: Sequence[str]) -> tuple[Any, list[str], list[str]]:
    """Hydra's options parsed, the same as words again, and all other words."""
    parser = Options()
    options, unknown = parser.parse_known_intermixed_args(list(arguments))
    words = [word for word in arguments if word in unknown or word in options.overrides]
    flags = []
    for action in parser._actions:
        value = getattr(options, action.dest, None)
        if action.option_strings and value not in (None, action.default):
            flags += [action.option_strings[0] if value is True else f"{action.option_strings[0]}={value}"]
    return options, flags, words


def _start(
    script: Script,
    flags: Sequence[str],
    words: Sequence[str],
    ready: tuple[list[str], Composition],
    typed: Sequence[str],
    suffix: str = "",
) -> int:
    """Start the script with what the words compose, or have Hydra start it where they are for Hydra, too.

    `typed` is all of the command line, `suffix` what a multirun's job adds to its run's name.
    """
    for_hydra, composed = ready
    if flags or any(is_for_hydra(word) or "${hydra:" in word for word in words):
        printed = any(flag.startswith(("--cfg", "--info")) for flag in flags)
        more = preset_words(composed, script.library) if printed else []
        return _call(script, [*flags, *for_hydra, *more], typed, suffix)
    script.start(replace(composed, job_suffix=suffix, typed=tuple(typed)))
    return 0


def _call(script: Script, words: Sequence[str], typed: Sequence[str], suffix: str = "") -> int:
    """The script started by Hydra with these words and options for Hydra itself."""

    def task(config: DictConfig, hydra_config: Any) -> None:
        composed = composition(config, script.name, hydra_config)
        script.start(replace(composed, job_suffix=suffix, typed=tuple(typed)))

    run_task(script.folder, script.name, words, task)
    return 0


def _multirun(script: Script, flags: list[str], words: list[str], typed: Sequence[str]) -> int:
    """Every combination of the words' values, one after the other; a job that fails is reported and the rest run."""
    jobs = split_jobs(words)
    ready = [_checked_job(script, job) for job in jobs]
    if all(isinstance(found, Mistakes) for found in ready):
        raise Mistakes([line for found in ready for line in getattr(found, "lines", ())])
    names = [f"job {number} of {len(jobs)} ({job.differing or 'as typed'})" for number, job in enumerate(jobs, start=1)]
    codes = [0] * len(jobs)
    # What cannot run is reported first, not hours later; then the others run.
    for index in sorted(range(len(jobs)), key=lambda index: not isinstance(ready[index], Exception)):
        logger.info("%s", names[index])
        codes[index] = _guarded(functools.partial(_run_job, script, flags, jobs[index], ready[index], typed))
        if codes[index] > 128:
            return codes[index]
    for name, code in zip(names, codes, strict=True):
        if code:
            logger.error("%s failed with exit code %d", name, code)
    return next((code for code in codes if code), 0)


def _checked_job(script: Script, this: Job) -> tuple[list[str], Composition] | Seq2SeqError:
    """The job's words for Hydra and what they compose, or what is wrong with them or with the settings they make."""
    try:
        ready = check(script, this.words)
        script.load(ready[1])
        return ready
    except Seq2SeqError as error:
        return error


def _run_job(
    script: Script,
    flags: list[str],
    this: Job,
    ready: tuple[list[str], Composition] | Seq2SeqError,
    typed: Sequence[str],
) -> int:
    if isinstance(ready, Seq2SeqError):
        raise ready
    return _start(script, flags, this.words, ready, typed, this.suffix)


def _guarded(task: Callable[[], int]) -> int:
    """The task's exit code, or its error's: a line on stderr for what a user can cause, a traceback for a bug."""
    try:
        code = task()
        finish_output()
        return code
    except Seq2SeqError as error:
        _tell(error)
        return error.exit_code
    except KeyboardInterrupt as error:
        if place().rank == 0:
            print("interrupted", file=sys.stderr)
        return 128 + (error.number if isinstance(error, Interrupted) else signal.SIGINT)
    except Exception as error:
        failure = _failure(error)
        if failure is not None:
            _tell(failure)
            return failure.exit_code
        traceback.print_exc()
        return 1


def _failure(error: Exception) -> Seq2SeqError | None:
    """What nobody has reported so far and is no bug all the same: a machine without memory, a failing disk."""
    if is_out_of_memory(error):
        return memory_failure()
    if isinstance(error, OSError) and error.errno in DISK_TROUBLE:
        return StorageError(f"cannot read or write {error.filename or 'a file'}: {error.strerror or error}")
    return None


def _tell(error: Seq2SeqError) -> None:
    """Only one of several processes reports an error of all, such as a mistake in the configuration."""
    rank = place().rank
    if isinstance(error, ClosedPipe):
        return
    if rank == 0:
        print(visible(str(error)), file=sys.stderr)
    elif isinstance(error, ConfigError):
        time.sleep(LINGER)
    elif not error.reported:
        print(visible(f"process {rank}: {error}"), file=sys.stderr)
