"""The loggers of a run: chosen again in each session, always with metrics.jsonl, others added by a file."""

import json
from pathlib import Path
from typing import Any

import pytest
from event_files import points
from small_runs import SMALL, same, settings, weights
from tracker_records import POINTS, Point, in_order, installed

from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.config.yaml_files import read_yaml, write_yaml
from seq2seq.logger.jsonl import read_metrics
from seq2seq.training.run import train
from seq2seq.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("in_its_own_folder")


def losses(run: str) -> list[tuple[int, float]]:
    lines = read_metrics(Path("runs", run, "metrics.jsonl"))
    return [(line["update"], round(line["train/loss"], 5)) for line in lines if "train/loss" in line]


def test_a_run_resumes_with_other_loggers() -> None:
    """In turn: only metrics.jsonl, a config.yaml older than the key, TensorBoard."""
    train(settings("whole", "trainer.max_updates=6"))
    train(settings("parts", "trainer.max_updates=2", "logger=jsonl"))
    assert not list(Path("runs/parts").glob("events*"))
    config = Path("runs/parts/config.yaml")
    stored = read_yaml(config)
    assert list(stored.pop("logger")) == ["jsonl"]
    write_yaml(stored, config)
    train(settings("parts", "trainer.max_updates=4"))
    assert list(read_yaml(config)["logger"]) == ["jsonl", "tensorboard"]
    train(settings("parts", "trainer.max_updates=6", "logger=tensorboard"))
    assert same(weights("whole", 6), weights("parts", 6))
    assert losses("parts") == losses("whole") == points(Path("runs/whole"), "train/loss")
    assert points(Path("runs/parts"), "train/loss") == [point for point in losses("whole") if point[0] > 2]


TIMES = ("train/tokens_per_second", "train/seconds_per_update", "train/peak_memory")


@pytest.mark.usefixtures("without_shape_checks")
def test_trackers_record_an_interrupted_run_like_an_uninterrupted_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted after update 7, past its last point; the last checkpoint is that of update 4."""
    trackers = installed()
    if not trackers:
        pytest.skip("needs the package of a tracker: wandb, mlflow or trackio")
    step = Trainer._update

    def die_at_seven(self: Trainer, *arguments: Any) -> None:
        if self.state.update == 7:
            raise KeyboardInterrupt
        step(self, *arguments)

    train(settings("whole", "logger=jsonl"))
    chosen = (f"logger=[tensorboard,{','.join(trackers)}]", "trainer.probes=1")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Trainer, "_update", die_at_seven)
        train(settings("killed", *chosen))
    train(settings("killed", *chosen))
    lines = read_metrics(Path("runs/whole/metrics.jsonl"))
    whole = [(tag, line["update"], value) for line in lines for tag, value in line.items()]
    for tracker in trackers:
        points = [point for point in POINTS[tracker](Path("runs/killed")) if point[0] != "valid/samples"]
        assert without_times(points) == without_times(whole), tracker


def without_times(points: list[Point]) -> list[tuple[str, int, str]]:
    return [point for point in in_order(points) if point[0] not in TIMES]


MINE = """
import json
from collections.abc import Mapping

from seq2seq.logger.base import Recorder, Session


class Mine(Recorder):
    def __init__(self, *, session: Session, name: str) -> None:
        session.folder.mkdir(parents=True, exist_ok=True)
        self.file = (session.folder / name).open("a")
        print(json.dumps(["session", session.update, session.to_validate]), file=self.file)

    def scalars(self, update: int, values: Mapping[str, float]) -> None:
        if "train/loss" in values:
            print(json.dumps([update, round(values["train/loss"], 5)]), file=self.file, flush=True)

    def close(self) -> None:
        self.file.close()
"""


def test_another_logger_is_a_class_and_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_loggers.py").write_text(MINE)
    (tmp_path / "mine/logger").mkdir(parents=True)
    (tmp_path / "mine/logger/notes.yaml").write_text(
        "notes:\n  _target_: my_loggers.Mine\n  _partial_: true\n  name: notes.txt\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    words = [*SMALL, f"hydra.searchpath=['file://{tmp_path}/mine']", "extensions=[my_loggers]", "run=noted"]
    for limit in (2, 4):
        chosen = ["logger=[jsonl,notes]", f"trainer.max_updates={limit}"]
        train(load_train(compose(CONFIGS, "train", [*(word for word in words if "max_updates" not in word), *chosen])))
    noted = [json.loads(line) for line in Path("runs/noted/notes.txt").read_text().split("\n")[:-1]]
    assert [line for line in noted if line[0] == "session"] == [["session", 0, False], ["session", 2, False]]
    assert [line for line in noted if line[0] != "session"] == [list(loss) for loss in losses("noted")]
    assert not list(Path("runs/noted").glob("events*"))
