"""What one GPU does in nine minutes: python benchmarks/gpu.py [--parts a,b] [--minutes 9] [--json FILE].

a. training throughput of a Transformer of the IWSLT shape; b. of LSTMs with and without input feeding; c. Multi30k
trained in a minute; d. Tatoeba in three; e. its test set decoded. Each is reported as soon as it is done, on stdout as
a line of Markdown and in the JSON file. If one fails, the others still run; one that does not fit into the remaining
time is skipped. `--device cpu --width 32 --share 0.1` is a dry run.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from gpu_recipes import (
    DECODED,
    MULTI30K_SECONDS,
    REHEARSED,
    TATOEBA_SECONDS,
    decode_tatoeba,
    train_multi30k,
    train_tatoeba,
)
from gpu_session import Part, Session
from gpu_throughput import ROUNDS, TURN, WARM_UP, train_lstms, train_transformer
from report import opening, surroundings, table, write_json
from tasks import usual_data

from seq2seq.runtime.cores import usable_cores

TURNS = WARM_UP + ROUNDS * TURN  # seconds of one training
IN_A_MINUTE, IN_THREE = REHEARSED * MULTI30K_SECONDS, REHEARSED * TATOEBA_SECONDS
PARTS = {
    part.letter: part
    for part in (
        Part("a", "Transformer, training", "1,000,000 target tokens/s", train_transformer, TURNS, 35),
        Part("b", "LSTMs, training", "at most 2 times", train_lstms, 2 * TURNS, 35),
        Part("c", "Multi30k, trained", "BLEU 42.05 within 60 s", train_multi30k, IN_A_MINUTE, 25, "multi30k"),
        Part("d", "Tatoeba, trained", "its plateau within 180 s", train_tatoeba, IN_THREE, 45, "tatoeba-de-en"),
        Part("e", "Tatoeba, decoded, beam 5", "at most 2 s", decode_tatoeba, 0, 30, "tatoeba-de-en", DECODED),
    )
}
HEADS = ["part", "measured", "target", "met", "peak GPU MiB", "seconds in all"]


def main() -> int:
    options = parse()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("This needs a CUDA device, and torch sees none here; --device cpu makes a dry run.", file=sys.stderr)
        return 2
    measured = surroundings(options) | {"gpu": gpu(options.device)}
    write_json(options.json, measured)
    opening("On a GPU", measured, options, f"At most {options.minutes:g} minutes")
    print()
    table(HEADS, [])
    with tempfile.TemporaryDirectory() as folder:
        session = Session(options, Path(folder), time.monotonic() + 60 * options.minutes)
        for letter in options.parts:
            found = attempt(PARTS[letter], session)
            measured["figures"].append(found)
            write_json(options.json, measured)
            print("| " + " | ".join(line(found)) + " |", flush=True)
    for found in measured["figures"]:
        print_curve(found)
    return int(any(found["status"] == "failed" for found in measured["figures"]))


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=letters, default=list(PARTS), help="a,b,c,d,e, in the order wanted")
    parser.add_argument("--minutes", type=float, default=9, help="for all parts together")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu: a dry run")
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument("--data", default=usual_data(), help="of a and b: a choice of configs/data")
    parser.add_argument("--width", type=int, help="of all models, for a dry run; else each has its own")
    parser.add_argument("--share", type=float, default=1, help="of each part's usual seconds, for a dry run")
    parser.add_argument("--words", default="", help="more words for all trainings; search.KEY=VALUE for e, too")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="of every program")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    return parser.parse_args(arguments)


def letters(text: str) -> list[str]:
    """The parts in a list like a,b."""
    chosen = text.split(",")
    if unknown := [letter for letter in chosen if letter not in PARTS]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return chosen


def attempt(part: Part, session: Session) -> dict[str, Any]:
    """What JSON says of a part: done, with its figures; or skipped or failed, and why."""
    found = {"part": part.letter, "title": part.title, "target": part.target}
    why = obstacle(part, session)
    if why:
        print(f"Part {part.letter} is skipped: {why}", file=sys.stderr)
        return found | {"status": "skipped", "why": why, "figures": []}
    began = time.monotonic()
    try:
        outcome = part.run(session)
    except Exception as error:
        why = f"{type(error).__name__}: {error}".strip().split("\n")[-1]
        print(f"Part {part.letter} failed: {why}", file=sys.stderr)
        return found | {"status": "failed", "why": why, "figures": [], "wall_seconds": time.monotonic() - began}
    met = None if session.is_dry or outcome.failure else outcome.met
    found |= {"status": "failed", "why": outcome.failure} if outcome.failure else {"status": "done"}
    found |= {"measured": outcome.summary, "met": met, "wall_seconds": time.monotonic() - began}
    return found | {"figures": outcome.figures}


def obstacle(part: Part, session: Session) -> str:
    """Why a part cannot be tried, or nothing."""
    expected = part.expected(session)
    root = os.environ.get("SEQ2SEQ_DATA", "")
    if part.corpus and not (root and (Path(root) / part.corpus).is_dir()):
        return f"SEQ2SEQ_DATA names no folder with {part.corpus}"
    if part.needs and not (session.folder / part.needs).exists():
        return "there is no model to decode with, which part d leaves"
    if expected > session.left:
        return f"it takes about {expected:.0f} s, and {max(0.0, session.left):.0f} s are left"
    return ""


def line(found: Mapping[str, Any]) -> list[str]:
    """A row of the table."""
    summary = found.get("measured", "")
    if found["status"] != "done":
        summary = f"{summary}; " * bool(summary) + f"{found['status']}: {found['why']}"
    met = {True: "yes", False: "no", None: "–"}[found.get("met")]
    peak = max(peaks(found["figures"]), default=None)
    cells = [f"{found['part']}. {found['title']}", summary.replace("|", "/"), found["target"], met]
    return [*cells, "–" if peak is None else f"{peak:,.0f}", f"{found.get('wall_seconds', 0):.0f}"]


def peaks(figures: Sequence[Mapping[str, Any]]) -> list[float]:
    """The peak memory on the GPU of every turn."""
    turns = [turn for each in figures for turn in each.get("turns", [each])]
    return [turn["peak_gpu_mib"] for turn in turns if "peak_gpu_mib" in turn]


def print_curve(found: Mapping[str, Any]) -> None:
    """A trained part's validations against minutes."""
    for figures in found["figures"]:
        if "valid_curve" in figures:
            print(f"\n## {found['title']}: validations\n")
            shown = {"minutes": ".2f", "update": ",", "valid/bleu": ".2f", "valid/nll": ".3f"}
            rows = [[f"{point[name]:{form}}" for name, form in shown.items()] for point in figures["valid_curve"]]
            table(list(shown), rows)


def gpu(device: str) -> dict[str, Any] | None:
    """The device, and what drives it; None for a CPU."""
    if device == "cpu":
        return None
    about = torch.cuda.get_device_properties(0)
    return {
        "name": about.name,
        "memory_mib": about.total_memory / 2**20,
        "capability": list(torch.cuda.get_device_capability(0)),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "driver": driver(),
    }


def driver() -> str | None:
    """Its version, by nvidia-smi where that is at hand."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return output.strip().split("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
