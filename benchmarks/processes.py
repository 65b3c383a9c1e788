"""How much faster several processes train than one: python benchmarks/processes.py [--processes 2] [--json FILE].

The same Transformer, the same updates, each process with --threads of its own: one alone and N under torchrun, in
turns. Markdown goes to stdout.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from contestants import HERE, Contestant, ours
from report import opening, rates, spread_text, surroundings, write_json
from tasks import TRANSFORMER, add_options, add_peers, chosen_precisions, task
from training import ENDLESS, race, report


def main() -> None:
    options = parse()
    measured = surroundings(options)
    opening("Several processes", measured, options, f"Medians of {options.rounds} turns of {options.seconds:g} s")
    with tempfile.TemporaryDirectory() as runs:
        turns, measured["versions"] = race(contestants(options, Path(runs)), options)
    measured["figures"] = report(TRANSFORMER, turns)
    alone, *several = turns
    base = rates(turns[alone], "target_tokens")
    print()
    for one in several:
        times = rates(turns[one], "target_tokens").over(base)
        print(f"{one}: {times:.2f} times one process ({spread_text(base)} target tokens/s)")
        measured["figures"].append({"of": str(one), "times_one_process": times})
    write_json(options.json, measured)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    add_peers(parser)
    parser.set_defaults(threads=1)
    parser.add_argument("--processes", type=int, default=2, help="that share each update")
    parser.add_argument("--seconds", type=float, default=10, help="at least so long is a turn")
    parser.add_argument("--warm-up", type=float, default=20, help="seconds of the first turn, which does not count")
    parser.add_argument("--log-every", type=int, default=5, help="updates between two of the log's entries")
    return parser.parse_args(arguments)


def contestants(options: argparse.Namespace, runs: Path) -> Iterator[Contestant]:
    """One process, and several of the same, in the precision that is fast here."""
    made, precision = task(TRANSFORMER, options), chosen_precisions(options)[-1]
    words = [*made.words, *ENDLESS.split(), f"trainer.log_every={options.log_every}"]
    words += [f"device={options.device}", f"precision={precision}"]
    yield ours("our_training.py", TRANSFORMER, precision, *words, f"run={runs}/one")
    launch = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node")
    script = (*launch, str(options.processes), str(HERE / "our_training.py"), *words, f"run={runs}/all")
    several = f"{TRANSFORMER} in {options.processes} processes"
    yield Contestant("ours", several, precision, script)


if __name__ == "__main__":
    main()
