"""How long it takes to begin: python benchmarks/startup.py [--words "..."] [--json FILE].

From the command `python scripts/train.py ...` to its first update, everything cached before, each time in a fresh run;
and what of it Python's imports take, by package (python -X importtime, in runs of their own). Markdown goes to stdout.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

from contestants import HERE
from measuring import Sample
from report import opening, spread_text, surroundings, table, write_json
from tasks import TRANSFORMER, add_options, task

IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+([^.\s]+)")  # microseconds of its own, the package
STAGES = {"all set up": re.compile(r"run .* begins: "), "the first update done": re.compile(r"update 1[,/:]")}
LAST = list(STAGES)[-1]
SHOWN = 10  # packages
Lines = list[tuple[float, str]]  # of stderr, each with the seconds since the command


def main() -> None:
    options = parse()
    measured = surroundings(options)
    words = [*task(TRANSFORMER, options).words, "trainer.log_every=1"]
    begun, imported = [], []
    with tempfile.TemporaryDirectory() as folder:
        start([*words, f"run={folder}/warm"], options.threads)
        for number in range(options.rounds):
            begun.append(stages(start([*words, f"run={folder}/{number}"], options.threads)))
            lines = start([*words, f"run={folder}/imports-{number}"], options.threads, "-X", "importtime")
            imported.append(imports(text for _, text in lines))
    opening("Start-up", measured, options, f"Medians of {options.rounds} runs")
    print()
    reached = {stage: Sample([seconds[stage] for seconds in begun]) for stage in STAGES}
    table(["from the command to", "seconds"], [[stage, spread_text(reached[stage], ".2f")] for stage in STAGES])
    print()
    table(["imports", "seconds"], import_lines(imported))
    measured["figures"] = [{"of": "stages", "seconds": begun}, {"of": "imports", "seconds": imported}]
    write_json(options.json, measured)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    return parser.parse_args(arguments)


def start(words: Sequence[str], threads: int, *flags: str) -> Lines:
    """Train until the first update is done; returns the lines of stderr until then."""
    command = [sys.executable, *flags, str(HERE.parent / "scripts" / "train.py"), *words]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    lines: Lines = []
    began = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        for text in process.stderr:
            lines.append((time.perf_counter() - began, text))
            if STAGES[LAST].match(text):
                process.kill()
                return lines
    sys.exit(f"{' '.join(command)} did not come to an update: {lines[-1][1] if lines else ''}")


def stages(lines: Lines) -> dict[str, float]:
    """Seconds from the command to each stage."""
    return {stage: next(at for at, text in lines if form.match(text)) for stage, form in STAGES.items()}


def imports(lines: Iterable[str]) -> dict[str, float]:
    """Seconds of import time of each package, without those of other packages it imports, until the first update."""
    found: Counter[str] = Counter()
    for match in filter(None, map(IMPORT.match, lines)):
        found[match[2]] += int(match[1])
    return {package: microseconds / 1e6 for package, microseconds in found.most_common()}


def import_lines(rounds: Sequence[dict[str, float]]) -> list[list[str]]:
    """Rows of a table: all imports together, then the packages that take longest."""
    total = Sample([sum(seconds.values()) for seconds in rounds])
    packages = {name: median(seconds.get(name, 0.0) for seconds in rounds) for name in set().union(*rounds)}
    longest = sorted(packages, key=lambda name: -packages[name])[:SHOWN]
    return [["all", spread_text(total, ".2f")], *([name, f"{packages[name]:.2f}"] for name in longest)]


if __name__ == "__main__":
    main()
