"""A multirun's jobs: every combination of the values typed, and what each job adds to its run's name."""

import hashlib
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from seq2seq.config.command_line.overrides import pieces, take_apart
from seq2seq.config.problems import Mistakes

MOST_JOBS = 1000


@dataclass(frozen=True)
class Job:
    """One combination: all its words, those that differ from job to job (`differing`), and the suffix of its run."""

    words: tuple[str, ...]
    differing: str
    suffix: str


def split_jobs(words: Sequence[str]) -> list[Job]:
    """The jobs of a multirun, the last word's values changing fastest; raises Mistakes where they are too many."""
    choices = [_values(word) for word in words]
    if (count := math.prod(map(len, choices))) > MOST_JOBS:
        raise Mistakes([f"--multirun (-m): at least {count:,} jobs; one command starts {MOST_JOBS:,} at most"])
    swept = [index for index, values in enumerate(choices) if len(values) > 1]
    combinations = list(itertools.product(*choices))
    suffixes = [job_suffix([combination[index] for index in swept]) for combination in combinations]
    if len(set(suffixes)) < len(suffixes) and not any(words[index].startswith("run=") for index in swept):
        suffixes = [f"{suffix}-{number}" for number, suffix in enumerate(suffixes)]
    return [
        Job(combination, " ".join(combination[index] for index in swept), suffix)
        for combination, suffix in zip(combinations, suffixes, strict=True)
    ]


def _values(word: str) -> list[str]:
    apart = take_apart(word)
    if apart.value is None or apart.key.startswith(("hydra.", "hydra/")):
        return [word]
    return [f"{apart.prefix}{apart.key}={value}" for value in pieces(apart.value)]


def job_suffix(words: Sequence[str]) -> str:
    """What a job adds to its run's name: '-seed-1-encoder-gru' for seed=1 encoder=gru; a swept `run` adds nothing."""
    named = [word for word in words if not word.startswith("run=")]
    text = "".join(f"-{re.sub(r'[^A-Za-z0-9._]+', '-', word).strip('-')}" for word in named)
    return text if len(text) <= 100 else "-" + hashlib.sha256(text.encode()).hexdigest()[:8]
