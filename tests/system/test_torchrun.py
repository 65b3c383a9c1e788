"""Two processes started with torchrun: stopped together, resumed and evaluated by one process."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from small_runs import SMALL
from system.processes import is_written, started, wait_until
from system.scripts import SCRIPTS, run_script

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]


def test_two_processes_stop_together_and_one_resumes(tmp_path: Path) -> None:
    words = [word for word in SMALL if not word.startswith(("trainer.max_updates", "trainer.log_every"))]
    metrics = tmp_path / "runs/two/metrics.jsonl"
    with started(
        [*TORCHRUN, str(SCRIPTS / "train.py"), *words, "run=two", "trainer.log_every=2", "trainer.max_updates=9999"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: is_written(metrics), process, seconds=300)
        process.send_signal(signal.SIGTERM)
        out, stderr = process.communicate(timeout=120)
    assert out == ""
    assert stderr.count("stopped by a signal: saved after update") == 1, stderr
    assert stderr.count("run runs/two begins: ") == 1
    assert "on 2 x cpu in fp32" in stderr
    update = int(stderr.partition("saved after update ")[2].split()[0])
    assert (tmp_path / f"runs/two/checkpoints/step-{update}").is_dir()

    more = [*words, "run=two", f"trainer.max_updates={update + 2}", "trainer.log_every=1"]
    alone = run_script("train", *more, cwd=tmp_path)
    assert alone.rc == 0, alone.stderr
    assert f"continues after update {update}" in alone.stderr
    lines = [json.loads(line) for line in metrics.read_text().split("\n")[:-1]]
    assert lines[-1]["update"] == update + 2
    scored = run_script("evaluate", "run=two", "bootstrap=0", cwd=tmp_path)
    assert scored.rc == 0, scored.stderr
    assert "bleu" in scored.stdout
