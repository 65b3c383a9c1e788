"""What each addition to a recipe is worth: python benchmarks/recipes.py [--rows base,simcut] [--seeds 1,2,3].

Trains the base recipe and each row of recipes.yaml with the same budget, evaluates all of them, and prints the table of
scripts/compare.py. The same command continues where it was stopped; runs that are finished are not trained again.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import yaml

FILE = Path(__file__).with_suffix(".yaml")
SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
LANGUAGES = {"de-en": ("de", "en"), "en-de": ("en", "de")}


def main() -> int:
    """Train and evaluate what is missing, then print the table."""
    options = parse()
    runs = {
        f"{options.name}-{pair}-{row}-{seed}": commands(row, pair, seed, options.budget)
        for seed in options.seeds
        for pair in options.pairs
        for row in options.rows
    }
    cores = shares(options.jobs)

    def one(run: str) -> bool:
        own = cores.get()
        try:
            return all(call([script, f"run={run}", *words], own) for script, words in runs[run])
        finally:
            cores.put(own)

    with ThreadPoolExecutor(options.jobs) as pool:
        done = dict(zip(runs, pool.map(one, runs), strict=True))
    print(f"failed: {', '.join(run for run, well in done.items() if not well) or 'none'}", file=sys.stderr)
    tables = [
        call(["compare", f"runs={options.name}-{pair}-*", f"split={split}"], os.sched_getaffinity(0))
        for pair in options.pairs
        for split in ("valid", "test")
    ]
    return 0 if all([*done.values(), *tables]) else 1


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=words, default=list(rows()), help="names in recipes.yaml; usually all")
    parser.add_argument("--seeds", type=words, default=["1"])
    parser.add_argument("--pairs", type=words, default=list(LANGUAGES), help="de-en,en-de")
    parser.add_argument("--budget", default="trainer.max_minutes=9", help="words of train.py, the same for all rows")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, each on its share of the cores")
    parser.add_argument("--name", default="recipes", help="how the runs' names begin")
    options = parser.parse_args()
    for key, given, known in (("rows", options.rows, rows()), ("pairs", options.pairs, LANGUAGES)):
        if unknown := [name for name in given if name not in known]:
            parser.error(f"no such {key}: {', '.join(unknown)}; there are {', '.join(known)}")
    if options.jobs < 1:
        parser.error(f"--jobs {options.jobs}: expected 1 or more")
    return options


def words(text: str) -> list[str]:
    """The parts of a list separated by commas."""
    return text.split(",")


def rows() -> dict[str, str]:
    """The words of each row, by name."""
    found: dict[str, str] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["rows"]
    return found


def commands(row: str, pair: str, seed: str, budget: str) -> list[tuple[str, list[str]]]:
    """The scripts of a run and their words: train, then evaluate on the validation and the test set."""
    base = yaml.safe_load(FILE.read_text(encoding="utf-8"))["base"]
    source, target = LANGUAGES[pair]
    spoken = [f"data.source_language={source}", f"data.target_language={target}", f"seed={seed}"]
    given = [*base.split(), *spoken, *budget.split(), *rows()[row].split()]
    last = {word.partition("=")[0]: word for word in given}  # a row may change a word of the base
    return [("train", [*last.values()]), ("evaluate", ["split=valid"]), ("evaluate", ["split=test"])]


def shares(jobs: int) -> "SimpleQueue[set[int]]":
    """The cores of each run that trains at the same time."""
    cores, queue = sorted(os.sched_getaffinity(0)), SimpleQueue[set[int]]()
    for job in range(jobs):
        queue.put(set(cores[job::jobs]) or set(cores))
    return queue


def call(command: Sequence[str], cores: set[int]) -> bool:
    """Run a script on these cores; whether it succeeded."""
    script, *given = command
    pin: Callable[[], None] = lambda: os.sched_setaffinity(0, cores)  # noqa: E731
    environment = {**os.environ, "OMP_NUM_THREADS": str(len(cores))}
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / f"{script}.py"), *given], env=environment, preexec_fn=pin, check=False
    )
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
