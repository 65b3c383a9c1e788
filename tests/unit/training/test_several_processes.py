"""Two processes train like one: the same curves, one run folder, one message; a lost process is noticed."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from forks import FORKS
from safetensors.torch import load_file
from shape_checks import unchecked
from unit.training.one_of_two import CASES, RUNS, SKIPPED, run_cases, train_averaged, train_run

COMPARED = {
    "train/loss",
    "train/nll",
    "train/grad_norm",
    "train/attention_penalty",
    "train/padding",
    "train/skipped",
    "valid/nll",
}


def free_ports(count: int) -> list[str]:
    """Ports that are not in use."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [str(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder with the runs of one process, and one with the same runs of two."""
    one, two = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    with pytest.MonkeyPatch.context() as patched, unchecked():
        patched.chdir(two)
        train_run("continued", 4)  # by one process, and then by two
        (one / ".cache").symlink_to(two / ".cache")
        patched.chdir(one)
        for run in RUNS:
            train_run(run)
        train_averaged("averaged", 4)
    ports = free_ports(len(CASES))
    processes = []
    try:
        for rank in "01":
            place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
            environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", **place}
            process = FORKS.Process(target=run_cases, args=(ports, two, environment))
            process.start()
            processes.append(process)
        for process in processes:
            process.join(timeout=600)
        assert [process.exitcode for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()  # one that hangs
            process.join()
    return one, two


def lines(folder: Path, run: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"runs/{run}/metrics.jsonl").read_text().split("\n")[:-1]]


@pytest.mark.parametrize("run", RUNS)
def test_two_processes_follow_the_curve_of_one(folders: tuple[Path, Path], run: str) -> None:
    one, two = (lines(folder, run) for folder in folders)
    assert [line["update"] for line in one] == [line["update"] for line in two]
    for line, other in zip(one, two, strict=True):
        # Padding depends on how an update is shared, except where it is one pair.
        tags = COMPARED & line.keys() - ({"train/padding"} if run != "tiny" else set())
        expected = pytest.approx({tag: line[tag] for tag in tags}, rel=1e-4 if run == "single" else 1e-9)
        assert {tag: other[tag] for tag in tags} == expected, line["update"]
        assert other.get("valid/bleu") == line.get("valid/bleu")


def test_two_processes_skip_the_same_updates(folders: tuple[Path, Path]) -> None:
    """Of which only the second one has seen a bad loss; the record has the pairs of both."""
    for folder in folders:
        bad = [line["update"] for line in lines(folder, "skipping") if "train/lr" in line and "train/loss" not in line]
        assert bad == list(SKIPPED)
        assert {path.name for path in (folder / "runs/skipping/nonfinite").iterdir()} == {"step-2.json", "step-5.json"}
    one, two = (json.loads((folder / "runs/skipping/nonfinite/step-5.json").read_text()) for folder in folders)
    assert one | {"processes": 2} == two


def test_a_process_that_runs_out_of_memory_splits_its_micro_batches(folders: tuple[Path, Path]) -> None:
    """While the other one waits for its gradients. Both have the same count."""
    counts = [line.get("train/oom_splits", 0) for line in lines(folders[1], "tight") if "train/loss" in line]
    assert counts == sorted(counts) and counts[-1] > 0
    stored = json.loads((folders[1] / "runs/tight/checkpoints/step-6/state.json").read_text())
    assert stored["oom_splits"] == counts[-1]


def test_the_checkpoint_of_two_processes_equals_that_of_one(folders: tuple[Path, Path]) -> None:
    """Names and values, tied weights once; so one process can resume the run of two, and the reverse."""
    found = []
    for folder in folders:
        path = folder / "runs/continued/checkpoints/step-12"
        found.append({file.name: load_file(file) for file in path.glob("*.safetensors")})
    assert found[0].keys() == found[1].keys() == {"model.safetensors", "optimizer.safetensors"}
    for name, tensors in found[0].items():
        assert tensors.keys() == found[1][name].keys()
        for key, tensor in tensors.items():
            assert (tensor - found[1][name][key]).abs().max() < 1e-9


def test_a_step_hook_is_called_once_per_update_and_resumes_bitwise(folders: tuple[Path, Path]) -> None:
    one, two, parts = (
        load_file(folder / "runs" / run / "checkpoints/step-4/mean.safetensors")
        for folder, run in (*((folder, "averaged") for folder in folders), (folders[1], "averaged-parts"))
    )
    assert one["calls"] == two["calls"] == 4
    assert all(torch.equal(two[name], parts[name]) for name in two)
    assert all((two[name] - one[name]).abs().max() < 1e-6 for name in two)


def test_a_common_error_is_reported_once_and_a_lost_process_is_noticed(folders: tuple[Path, Path]) -> None:
    main, other = (json.loads((folders[1] / f"ends-{rank}.json").read_text()) for rank in (0, 1))
    assert main.keys() == {"broken", "full", "lost"}
    assert main["broken"]["error"] == other["broken"]["error"] == "NonFiniteLossError"
    assert (main["broken"]["reported"], other["broken"]["reported"]) == (False, True)
    assert "update 1: the loss is nan" in main["broken"]["message"]
    assert (main["full"]["error"], other["full"]["error"]) == ("PeerError", "OutOfMemoryError")
    assert main["lost"]["error"] == "PeerError"
    assert "another process of this run has failed" in main["lost"]["message"]
