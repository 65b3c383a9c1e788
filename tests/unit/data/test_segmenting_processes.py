"""Epochs sampled by other processes: the same ids for any number of processes; files and processes are removed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sample_text import settings
from unit.data.examples import prepared

from seq2seq.data.encoded import EncodedCorpus
from seq2seq.data.prepare import Prepared
from seq2seq.errors import PeerError, StorageError

SAMPLED = settings(sampling=0.3)


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use three processes for 300 pairs."""
    use_processes(monkeypatch, 3)


def use_processes(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("seq2seq.data.segmenting_processes.CHUNK", 50)
    monkeypatch.setattr("seq2seq.data.segmenting_processes.PAIRS_A_PROCESS", 100)
    monkeypatch.setattr("seq2seq.data.segmenting_processes.usable_cores", lambda: count)


def arrays(corpus: EncodedCorpus) -> list[np.ndarray]:
    return [corpus.source_ids, corpus.source_offsets, corpus.target_ids, corpus.target_offsets]


def same(one: EncodedCorpus, other: EncodedCorpus) -> bool:
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(arrays(one), arrays(other), strict=True))


def running(made: Prepared) -> list[int]:
    return [process.pid for process in made.resampler.processes._processes]


def ended(pid: int) -> bool:
    """True if the process ends within ten seconds."""
    for _ in range(500):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_the_number_of_processes_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str):
    sampled = settings(model_type=kind, sampling=0.3)
    here = prepared(tmp_path, tokenizer=sampled)
    expected = [here.train(epoch) for epoch in (0, 1, 5)]
    assert here.resampler.processes._here is not None
    for count in (1, 3):
        use_processes(monkeypatch, count)
        made = prepared(tmp_path, tokenizer=sampled)
        for epoch, corpus in zip((0, 1, 5), expected, strict=True):  # 5 replaces 2, which was started
            assert same(made.train(epoch), corpus) and made.train(epoch) is made.train(epoch)
        assert len(running(made)) == count
        made.close()


def test_at_most_two_epochs_have_files_and_close_removes_them(tmp_path: Path, several: None):
    made = prepared(tmp_path, tokenizer=SAMPLED)
    place, sizes, first = made.resampler.folder.path, [], made.train(0).source_ids.copy()
    before = made.train(0)
    for epoch in range(1, 6):
        made.train(epoch)
        assert [path.name for path in place.glob("epoch-*")] == [f"epoch-{epoch}"]
        made.resampler.processes.wait(epoch + 1)  # the next epoch is complete
        sizes.append(sum(path.stat().st_size for path in place.rglob("*") if path.is_file()))
    assert max(sizes) < 1.1 * min(sizes)
    assert (before.source_ids == first).all()  # still mapped
    pids = running(made)
    made.close()
    assert not place.exists() and all(map(ended, pids))
    made.close()


def test_ranks_share_the_files_and_a_late_one_samples_for_itself(tmp_path: Path):
    main, other = (prepared(tmp_path, tokenizer=SAMPLED, run=tmp_path / "run") for _ in range(2))
    assert main.resampler.folder.is_mine and not other.resampler.folder.is_mine
    for epoch in (0, 1):
        assert same(main.train(epoch), other.train(epoch)) and main.train(epoch).folder == other.train(epoch).folder
    main.train(5)
    late = other.train(4)
    assert late.folder != main.train(5).folder
    assert same(late, prepared(tmp_path, tokenizer=SAMPLED).train(4))


def test_late_rank_does_not_wait_for_a_removed_epoch(tmp_path: Path):
    """The first epochs are read for the shapes of batches, before training begins with one of them."""
    main, other = (prepared(tmp_path, tokenizer=SAMPLED, run=tmp_path / "run") for _ in range(2))
    drawn = [main.train(epoch) for epoch in (0, 1, 0)]
    assert all(same(other.train(epoch), corpus) for epoch, corpus in zip((0, 1, 0), drawn, strict=True))


def test_another_run_has_its_own_files(tmp_path: Path):
    one, other = (prepared(tmp_path, tokenizer=SAMPLED, run=tmp_path / name) for name in "ab")
    assert one.train(0).folder != other.train(0).folder
    one.close()
    assert len(other.train(1)) == 300


def test_process_that_dies_is_reported(tmp_path: Path, several: None):
    made = prepared(tmp_path, tokenizer=SAMPLED)
    made.train(0)
    for pid in running(made):
        os.kill(pid, signal.SIGKILL)
        assert ended(pid)
    with pytest.raises(PeerError, match=r"epoch 7 has died .*the same command continues"):
        made.train(7)


@pytest.mark.parametrize("count", [1, 3])
def test_full_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int):
    if count > 1:
        use_processes(monkeypatch, count)
    made = prepared(tmp_path, tokenizer=SAMPLED)
    folder = made.resampler.processes.folders[0]
    folder.mkdir(exist_ok=True)
    (folder / "source-0.making.npz").symlink_to("/dev/full")
    with pytest.raises(StorageError, match=r"the cache .* cannot be written: No space left on device\. Free some"):
        made.train(0)
    made.close()


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import seq2seq.data.segmenting_processes as processes
from sample_text import settings
from unit.data.examples import prepared
processes.CHUNK, processes.PAIRS_A_PROCESS, processes.usable_cores = 50, 100, lambda: 2
made = prepared(Path(sys.argv[2]), tokenizer=settings(sampling=0.3), run=Path(sys.argv[2]) / "run")
made.train(0)
print(*[process.pid for process in made.resampler.processes._processes], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_training_leaves_no_processes_and_the_next_run_removes_its_files(tmp_path: Path):
    tests = Path(__file__).parents[2]
    found = subprocess.run([sys.executable, "-c", KILLED, tests, tmp_path], capture_output=True, text=True, check=False)
    assert found.returncode == -signal.SIGKILL and len(found.stdout.split()) == 2, found.stderr
    assert all(ended(int(pid)) for pid in found.stdout.split())
    (left,) = [path for path in (tmp_path / "epochs").iterdir() if path.is_dir()]
    again = prepared(tmp_path, tokenizer=SAMPLED, run=tmp_path / "another")
    assert not left.exists()
    assert same(again.train(0), prepared(tmp_path, tokenizer=SAMPLED).train(0))
