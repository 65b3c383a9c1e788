"""MLflow: a database on this machine must work; a server may be away for a while."""

import os
from pathlib import Path

import pytest
from forks import FORKS
from tracker_records import SHARED, in_order, mlflow_points, noted_id
from tracker_sessions import SETTINGS, begun, choice, report, whole, write

from seq2seq.errors import StorageError
from seq2seq.logger.mlflow import MLflow

mlflow = pytest.importorskip("mlflow", reason="needs the package mlflow")

NOWHERE = "http://127.0.0.1:9"


def client() -> "mlflow.MlflowClient":
    return mlflow.MlflowClient(tracking_uri=os.environ["MLFLOW_TRACKING_URI"])


def test_settings_texts_and_names_are_recorded(tmp_path: Path) -> None:
    write(choice("mlflow", tags={"team": "mt"}), tmp_path / "run", after=0, until=20)
    run = client().get_run(noted_id(tmp_path / "run", "mlflow"))
    assert (run.info.run_name, run.info.status, run.data.tags["team"]) == ("run", "FINISHED", "mt")
    assert run.data.params == {key: "null" if value is None else json_text(value) for key, value in SETTINGS.items()}
    (text,) = Path(SHARED.name).rglob(f"{run.info.run_id}/artifacts/text/samples/*")
    assert (text.name, text.read_text()) == ("update-0000020.md", "*ä* &#42;")


def json_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_a_tag_is_written_in_characters_that_are_allowed(tmp_path: Path) -> None:
    for after in (0, 20):
        recorders = begun(choice("mlflow"), tmp_path / "run", after)
        for update in range(after + 10, 41, 10):
            recorders.scalars(update, {"valid/bleu en→de+": 1.0})
        recorders.close()
    points = mlflow_points(tmp_path / "run")
    assert sorted(points) == [("valid/bleu en_de_", update, 1.0) for update in (10, 20, 30, 40)]


def test_the_database_is_beside_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(choice("mlflow"), tmp_path / "elsewhere", after=0, until=20)  # the database that is copied has been made
    (tmp_path / "runs").mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/runs/mlflow.db")
    (tmp_path / "runs/mlflow.db").write_bytes(Path(SHARED.name, "mlflow.db").read_bytes())
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    write(choice("mlflow", experiment="mine"), tmp_path / "runs/one", after=0, until=20)
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [
        *("mlartifacts", "mlflow.db", "mlflow.db.lock", "one")
    ]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/runs/mlflow.db")
    assert in_order(mlflow_points(tmp_path / "runs/one")) == in_order(whole(20))


def test_runs_that_begin_together_make_one_database(tmp_path: Path) -> None:
    logger = choice("mlflow", tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    processes = [
        FORKS.Process(target=write, args=(logger, tmp_path / name), kwargs={"after": 0, "until": 20}) for name in "ab"
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]


def test_a_run_that_was_deleted_there_begins_a_new_record(tmp_path: Path) -> None:
    write(choice("mlflow"), tmp_path, after=0, until=20)
    client().delete_run(noted_id(tmp_path, "mlflow"))
    write(choice("mlflow"), tmp_path, after=20, until=40)
    assert in_order(mlflow_points(tmp_path)) == in_order(whole(40))


def test_a_server_that_is_away_when_a_session_begins_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=rf"cannot write the log of run .*: MLflow at {NOWHERE}: .*refused"):
        begun(choice("mlflow", tracking_uri=NOWHERE), tmp_path)


def test_points_wait_for_a_server_that_is_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorders = begun(choice("mlflow"), tmp_path)
    (_, tracker) = recorders._recorders
    report(recorders, until=20)
    here, tracker._client, tracker._uri = tracker._client, mlflow.MlflowClient(tracking_uri=NOWHERE), NOWHERE
    report(recorders, after=20, until=50)
    assert "refused. Training goes on" in "".join(warnings(caplog))
    tracker._client, tracker._resume_at = here, 0.0
    report(recorders, after=50, until=60)
    recorders.close()
    assert len(warnings(caplog)) == 1
    assert in_order(mlflow_points(tmp_path)) == in_order(whole(60))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "seq2seq.logger.mlflow"]


def test_a_database_needs_more_than_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seq2seq.logger.mlflow.find_spec", lambda name: None)
    assert MLflow.problem(tracking_uri="sqlite:///here.db") == MLflow.missing()
    assert MLflow.problem(tracking_uri=NOWHERE) is None


def test_a_broken_database_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"not a database" * 99)
    with pytest.raises(StorageError, match=r"cannot write the log of run .*: MLflow at .*: file is not a database"):
        begun(choice("mlflow", tracking_uri=f"sqlite:///{tmp_path}/mlflow.db"), tmp_path / "run")
