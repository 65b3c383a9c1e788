"""From Python: the process that calls stays as it was, and may be any."""

import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobRuntime
from omegaconf import OmegaConf
from omegaconf.basecontainer import BaseContainer
from small_runs import SMALL

import seq2seq
from seq2seq import ConfigError, Translator

WORDS = [word for word in SMALL if not word.startswith("trainer.max_updates=")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, `base`."""
    folder = tmp_path_factory.mktemp("process")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        seq2seq.train(*WORDS, "trainer.max_updates=8", run="base")
    return folder


@pytest.fixture(autouse=True)
def folder(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same; the working directory is there."""
    monkeypatch.chdir(trained)
    return trained


def state() -> dict[str, Any]:
    """What a call could change in the process."""
    ours = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith("seq2seq")]
    return {
        "logs": [
            (each.level, [*each.handlers], each.propagate) for each in (logging.root, logging.getLogger("seq2seq"))
        ],
        "our logs": [each.name for each in ours if each.handlers or each.level],
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "process": (Path.cwd(), [*sys.argv], [*sys.path], dict(os.environ)),
        "torch": (
            torch.get_rng_state().tolist(),
            torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(),
        ),
        "warnings": [*warnings.filters],
        "resolvers": dict(BaseContainer._resolvers),
        "hydra": (GlobalHydra.instance().hydra, OmegaConf.to_container(JobRuntime.instance().conf)),
        "job": HydraConfig.instance().cfg,
        "exceptions": (sys.excepthook, threading.excepthook),
    }


@contextmanager
def unchanged() -> Iterator[None]:
    """The block leaves the process as it was."""
    before = state()
    yield
    after = state()
    for key in before:
        assert after[key] == before[key], key


def train() -> None:
    seq2seq.train(*WORDS, "trainer.max_updates=4", "trainer.deterministic=true", run=f"run-{time.monotonic_ns()}")


def mistyped() -> None:
    with pytest.raises(ConfigError, match="encoder=lsmt: there is no encoder 'lsmt'"):
        seq2seq.train("encoder=lsmt")


CALLS: dict[str, Callable[[], object]] = {
    "train": train,
    "evaluate": lambda: seq2seq.evaluate(run="base", bootstrap=0),
    "evaluate with another part": lambda: seq2seq.evaluate(run="base", bootstrap=0, metrics="summarization"),
    "translate": lambda: Translator.load("base").translate(["in 3 days"]),
    "translate with another part": lambda: Translator.load("base", search="beam").translate(["in 3 days"]),
    "int8": lambda: Translator.load("base", precision="int8").translate(["in 3 days"]),
    "mistyped": mistyped,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_process_is_as_before(call: Callable[[], object], capfd: pytest.CaptureFixture[str]) -> None:
    with unchanged():
        call()
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_program_with_hydra_and_logs_of_its_own(call: Callable[[], object], tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("job: ${hydra:job.name}\n")
    handler = logging.NullHandler()
    resolvers = dict(BaseContainer._resolvers)
    with hydra.initialize_config_dir(version_base="1.2", config_dir=str(tmp_path), job_name="mine"):
        OmegaConf.register_new_resolver("now", lambda: "mine", replace=True)
        logging.root.addHandler(handler)
        try:
            with unchanged():
                call()
            assert hydra.compose("own", return_hydra_config=True).hydra.job.name == "mine"
            assert OmegaConf.create({"at": "${now:}"}).at == "mine"
        finally:
            logging.root.removeHandler(handler)
            BaseContainer._resolvers.clear()
            BaseContainer._resolvers.update(resolvers)


def test_calls_in_other_threads() -> None:
    """Also a training, whose signals would belong to the main thread."""
    with unchanged(), ThreadPoolExecutor(len(CALLS)) as pool:
        for done in [pool.submit(call) for name, call in CALLS.items() if name != "train"]:
            done.result()
    with unchanged(), ThreadPoolExecutor(1) as pool:
        pool.submit(train).result()


def test_an_interrupted_training_continues_from_its_last_checkpoint() -> None:
    def interrupt() -> None:
        while not Path("runs/cut/checkpoints/step-8").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    with unchanged(), pytest.raises(KeyboardInterrupt):
        seq2seq.train(*WORDS, "trainer.max_updates=100000", run="cut")
    watcher.join()
    found = seq2seq.train(*WORDS, "trainer.max_updates=12", run="cut")
    assert found.begun_at >= 8
