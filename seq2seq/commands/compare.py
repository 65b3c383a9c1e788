"""Compare runs: seq2seq compare runs=NAME,NAME,... [split=test] [output=FILE.md] [json=FILE.json]."""

from typing import NoReturn

import hydra

from seq2seq.config import COMPARE_KEYS, CONFIGS, Composition, Script, job, launch, load_compare


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="compare")
@job
def main(composed: Composition) -> None:
    """Read the runs, measure what they did not log, write the table."""
    checked = load_compare(composed)
    from seq2seq.analysis.comparison.comparison import compare_runs

    compare_runs(checked)


def start() -> NoReturn:
    """The whole process: the command line checked, the task run, its exit code."""
    launch(main, Script("compare", CONFIGS, COMPARE_KEYS, load_compare))
