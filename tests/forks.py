"""Processes that start in a moment: forks of one that has imported whatever a script needs, two seconds' work."""

import multiprocessing
import os
from collections.abc import Mapping
from pathlib import Path

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "seq2seq.analysis.attention.maps",
        "seq2seq.analysis.comparison.comparison",
        "seq2seq.analysis.evaluation.evaluation",
        "seq2seq.inference.scoring",
        "seq2seq.inference.translation",
        "seq2seq.training.preflight",
        "seq2seq.training.run",
    ]
)


def as_started(cwd: Path, environment: Mapping[str, str]) -> None:
    """Give this process the working directory and the environment it would have been started with."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
