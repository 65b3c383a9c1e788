"""Links in the folder of a run: none leads out of it."""

from pathlib import Path

from seq2seq.errors import CheckpointError
from seq2seq.files import link_out_of

OWN = (  # what a run's folder holds
    *("config.yaml", "tokenizer", "checkpoints", "best", "metrics.jsonl", "lexicon.npz"),
    *("int8", "eval", "export", "attention"),
)


def refuse_links_out(folder: Path) -> None:
    """Raise CheckpointError where a link in a run's folder leads out of it: the folder may come from anyone, and its
    files are read, and written, as those of a run."""
    if link := link_out_of(folder, OWN):
        advice = "put there what it points to (the run's folder itself may be a link)"
        raise CheckpointError(f"{link} is a link that leads out of the run's folder, to {link.resolve()}: {advice}")
