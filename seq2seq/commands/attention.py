"""See where a run looks: seq2seq attention run=NAME [input=FILE] [target=FILE] [gold=FILE]."""

from typing import NoReturn

import hydra

from seq2seq.config import (
    ATTENTION_KEYS,
    CONFIGS,
    AttentionMapSettings,
    Composition,
    Script,
    TrainSettings,
    job,
    launch,
    load_run,
)


def settings(composed: Composition) -> tuple[AttentionMapSettings, TrainSettings]:
    """This script's settings and those of the run."""
    return load_run(composed, AttentionMapSettings)


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="attention")
@job
def main(composed: Composition) -> None:
    """Force translations through the model; write maps, a page, alignments and entropies."""
    checked = settings(composed)
    from seq2seq.analysis.attention.maps import show_attention

    show_attention(*checked)


def start() -> NoReturn:
    """The whole process: the command line checked, the task run, its exit code."""
    launch(main, Script("attention", CONFIGS, ATTENTION_KEYS, settings, of_run=True))
