"""Fixtures and rules for the whole suite: shapes are checked, corpora and the GPU are optional."""

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

REPOSITORY = Path(__file__).resolve().parent.parent
# Every annotated function of a module with shapes is checked at each call; the hook must come before the first import.
install_import_hook(
    [
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        for path in sorted(Path(REPOSITORY, "seq2seq").rglob("*.py"))
        if "jaxtyping" in path.read_text(encoding="utf-8")
    ],
    "shape_checks.check",
)

import torch  # noqa: E402
from fault_table import FaultTable  # noqa: E402
from shape_checks import unchecked  # noqa: E402

from seq2seq.runtime import forks  # noqa: E402

# Path prefixes of slow tests (runs, processes, composed configurations, whole searches) and of tests of benchmarks/.
COSTLY = {
    "slow": (
        "system/",
        "contract/test_learning.py",
        "contract/test_trackers.py",
        "faults/",
        "unit/analysis/comparison/",
        "unit/analysis/evaluation/",
        "unit/benchmarks/",
        "unit/checkpoint/test_interruptions.py",
        "unit/config/",
        "unit/data/embedded/",
        "unit/data/test_prepare",
        "unit/data/test_sampled_epochs.py",
        "unit/data/test_segmenting_processes.py",
        "unit/decoder/test_cache.py",
        "unit/engine/",
        "unit/format/",
        "unit/inference/",
        "unit/logger/test_mlflow.py",
        "unit/logger/test_wandb.py",
        "unit/model/test_ensemble.py",
        "unit/objective/test_minimum_risk.py",
        "unit/optimizer/test_step_without_dynamo.py",
        "unit/reporting/test_attention_figures.py",
        "unit/search/test_constraints.py",
        "unit/search/test_draws.py",
        "unit/search/test_minimum_risk.py",
        "unit/search/test_shortlists.py",
        "unit/tokenizer/test_sampling.py",
        "unit/training/",
    ),
    "benchmark": ("unit/benchmarks/",),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options for `make capabilities` and `make test-faults`."""
    parser.addoption("--capabilities", metavar="FILE", type=Path, help="train every legal triple and write this page")
    parser.addoption("--faults", action="store_true", help="make all trials of tests/faults, not a few of each")
    parser.addoption("--faults-json", metavar="FILE", type=Path, help="write the counts of tests/faults to this file")


def pytest_configure(config: pytest.Config) -> None:
    """Use one thread: the tensors are small, so more threads are slower, and one thread is bitwise reproducible."""
    page = config.getoption("capabilities")
    if page is not None and not hasattr(config, "workerinput"):  # the workers of xdist report to one controller
        from contract.capabilities import Capabilities

        config.pluginmanager.register(Capabilities(page))
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(FaultTable(config.getoption("faults_json")))
    for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) == signal.SIG_IGN:  # nohup and a shell's & ignore them, but tests send them
            signal.signal(number, default)
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    settings.register_profile("seq2seq", deadline=None)  # a slow machine is not an error
    settings.load_profile("seq2seq")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their path; skip those marked `gpu` or `corpus` where there is no GPU or no corpora.

    The slow folders come first: their modules share slow fixtures, and xdist workers steal tests from the end.
    """
    for item in items:
        path = item.path.relative_to(REPOSITORY / "tests").as_posix()
        for marker, prefixes in COSTLY.items():
            if path.startswith(prefixes):
                item.add_marker(marker)
    items.sort(key=lambda item: not item.path.relative_to(REPOSITORY / "tests").as_posix().startswith(COSTLY["slow"]))
    missing = {"gpu": None if torch.cuda.is_available() else "needs a CUDA device, and torch sees none here"}
    missing["corpus"] = why_no_corpora()
    for item in items:
        for marker, reason in missing.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


def why_no_corpora() -> str | None:
    """Why the tests that read the named corpora cannot run, or None."""
    folder = os.environ.get("SEQ2SEQ_DATA", "")
    if not folder:
        return "needs the corpora: set SEQ2SEQ_DATA to the folder that holds them"
    return None if Path(folder).is_dir() else f"needs the corpora: SEQ2SEQ_DATA={folder} is not a folder"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """What the scripts set for their process ends with the test: levels of loggers, and that searches may fork."""
    package, disabled = logging.getLogger("seq2seq"), logging.root.manager.disable
    levels, may_fork = (logging.root.level, package.level), forks._Process.forks
    try:
        yield
    finally:
        logging.disable(disabled)
        logging.root.setLevel(levels[0])
        package.setLevel(levels[1])
        forks._Process.forks = may_fork


@pytest.fixture
def without_shape_checks() -> Iterator[None]:
    """For slow tests of functions whose shapes other tests check."""
    with unchecked():
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds seq2seq/, configs/ and scripts/."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of the named corpora; for tests marked `corpus`."""
    if reason := why_no_corpora():
        pytest.skip(reason)
    return Path(os.environ["SEQ2SEQ_DATA"])
