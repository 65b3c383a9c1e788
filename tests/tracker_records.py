"""What the records of experiment trackers hold, read from the files and databases of the trackers themselves.

Databases and logs that trackers keep for all runs are in a temporary folder of the test process.
"""

import json
import math
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SHARED = tempfile.TemporaryDirectory(prefix="trackers-")
os.environ |= {
    "TRACKIO_DIR": f"{SHARED.name}/trackio",
    "MLFLOW_TRACKING_URI": f"sqlite:///{SHARED.name}/mlflow.db",
    "WANDB_CACHE_DIR": f"{SHARED.name}/wandb",
}

Point = tuple[str, int, float]  # tag, update, value: 0 for a text or an image


def wandb_points(folder: Path) -> list[Point]:
    """From the .wandb files of the run's sessions; each row has the column `update`."""
    found = []
    for file in folder.glob(f"wandb/*/run-{noted_id(folder, 'wandb')}.wandb"):
        rows = [record["history"]["item"] for record in wandb_records(file) if record["type"] == "history"]
        for row in rows:
            columns = {name.removesuffix("._type"): value for name, value in row.items() if "/" in name}
            found += [(tag, row["update"], number(value)) for tag, value in columns.items() if "." not in tag]
    return found


def wandb_records(file: Path) -> list[dict[str, Any]]:
    """All records of a file, as W&B's own reader prints them; none of one that was killed before it wrote any."""
    if file.stat().st_size < 10:
        return []
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)]
    printed = subprocess.run(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=True).stdout
    return [json.loads(line) for line in printed.split(b"\n") if line]


def mlflow_points(folder: Path) -> list[Point]:
    """Through MLflow's client; texts are files that are named after their update."""
    from mlflow import MlflowClient

    client, run = MlflowClient(tracking_uri=os.environ["MLFLOW_TRACKING_URI"]), noted_id(folder, "mlflow")
    found = []
    for key in client.get_run(run).data.metrics:
        found += [(key, point.step, point.value) for point in client.get_metric_history(run, key)]
    images = [file.path.split("+") for file in client.list_artifacts(run, "images") if file.path.endswith(".png")]
    return found + [(name.removeprefix("images/").replace("~", "/"), int(step), 0.0) for name, _, step, *_ in images]


def trackio_points(folder: Path) -> list[Point]:
    """From the SQLite database of the project."""
    with sqlite3.connect(f"{os.environ['TRACKIO_DIR']}/seq2seq.db") as database:
        query = "SELECT step, metrics FROM metrics WHERE run_id = ?"
        rows = database.execute(query, [noted_id(folder, "trackio")]).fetchall()
    return [(tag, step, number(value)) for step, row in rows for tag, value in json.loads(row).items()]


POINTS: dict[str, Callable[[Path], list[Point]]] = {
    "wandb": wandb_points,
    "mlflow": mlflow_points,
    "trackio": trackio_points,
}


def noted_id(folder: Path, tracker: str) -> str:
    return str(json.loads((folder / f"{tracker}.json").read_bytes())["id"])


def number(value: object) -> float:
    """A number, which may be JSON or the word NaN; 0 for what describes a text or an image."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0.0


def installed() -> list[str]:
    return [tracker for tracker in POINTS if find_spec(tracker)]


def in_order(points: Iterable[Point], prefix: tuple[str, ...] = ("train/", "valid/")) -> list[tuple[str, int, str]]:
    """Sorted; NaN is equal to NaN."""
    chosen = ((tag, update, value) for tag, update, value in points if tag.startswith(prefix))
    return sorted((tag, update, "nan" if math.isnan(value) else f"{value:.9g}") for tag, update, value in chosen)
