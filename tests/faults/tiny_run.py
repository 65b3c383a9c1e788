"""A run that is trained in a second, and copies of it."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from system.scripts import run_script

WORDS = ("eins", "zwei", "drei", "vier")
SETTINGS = (
    *("data=files", "preset=none", "tokenizer=unigram", "tokenizer.vocab_size=275", "tokenizer.byte_fallback=true"),
    *("embedding.size=8", "encoder.hidden_size=8", "decoder.hidden_size=8", "encoder.layers=1", "decoder.layers=1"),
    *("search=greedy", "search.max_length=12", "schedule=constant", "device=cpu", "precision=fp32", "logger=jsonl"),
    *("trainer.tokens_per_update=200", "trainer.max_updates=2", "trainer.validate_every=2", "trainer.save_every=2"),
    "trainer.probes=0",
)


def settings() -> list[str]:
    """The words that train it, from the folder of its texts."""
    sides = {"source": "de", "target": "en"}
    splits = ("train", "valid", "test")
    return [*SETTINGS, *(f"data.{split}.{key}={split}.{side}" for split in splits for key, side in sides.items())]


def train_tiny(folder: Path) -> None:
    """Write its texts into the folder, with the run as runs/base; it is trained once in a process."""
    shutil.copytree(_trained(), folder, symlinks=True, dirs_exist_ok=True)


@cache
def _trained() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tiny-run-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for split, count in (("train", 60), ("valid", 4), ("test", 4)):
        rows = [[WORDS[(number * 7 + place) % 4] for place in range(1 + number % 3)] for number in range(count)]
        (folder / f"{split}.de").write_text("".join(f"{' '.join(row)}\n" for row in rows))
        (folder / f"{split}.en").write_text("".join(f"{' '.join(reversed(row))}\n" for row in rows))
    trained = run_script("train", "run=base", *settings(), cwd=folder)
    assert trained.rc == 0, trained.stderr
    return folder


def copy_of(run: Path, to: Path) -> Path:
    """A copy of a run's folder, its links as links."""
    shutil.copytree(run, to, symlinks=True)
    return to
