"""Runs of earlier versions (tests/fixtures/runs, one of each format) load, score as they did, and are trained
further.

`first` is of 2026-11-20: no hashes of the tokenizer, no `validated.json`, a part's class under its old path, groups and
arguments missing that were added later. `second` is of 2026-11-28, before the choice of blocks and loggers; `third` of
2026-11-30.
"""

import json
import shutil
from pathlib import Path

import pytest
from faults.trainings import write_texts
from system.scripts import run_script

RUNS = Path(__file__).resolve().parents[1] / "fixtures" / "runs"
WORDS = """
device=cpu precision=fp32 data=files data.train.source=train.source data.train.target=train.target
data.valid.source=valid.source data.valid.target=valid.target tokenizer=char tokenizer.byte_fallback=false
embedding.size=6 encoder.hidden_size=4 decoder.hidden_size=6 attention=bahdanau attention.attn_dim=4
trainer.tokens_per_update=400 trainer.validate_every=20 trainer.save_every=20 trainer.keep_last=1 trainer.average=1
trainer.probes=0 search=greedy search.max_length=8 schedule=constant optimizer.lr=0.01
"""
# What has another default today.
THEN = {
    "first": ["encoder.mask_end=false", "objective.attention_penalty=1.0", "trainer.count=target",
              "trainer.validate_pairs=null", "tie=target", "decoder.input_feeding=false", "decoder.attend=before"],
    "second": ["encoder.mask_end=false", "objective.attention_penalty=1.0"],
    "third": [],
}  # fmt: skip


@pytest.mark.parametrize("name", THEN)
def test_a_stored_run_scores_as_it_did_and_continues(name: str, tmp_path: Path) -> None:
    write_texts(tmp_path)
    run = tmp_path / "runs" / name
    shutil.copytree(RUNS / name, run, symlinks=True)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    (nll,) = (line["valid/nll"] for line in lines if "valid/nll" in line)
    scored = run_script("score", f"run={name}", "split=valid", cwd=tmp_path)
    assert scored.rc == 0, scored.stderr
    tokens = int(scored.stderr.split(" tokens with")[0].split()[-1].replace(",", ""))
    total = float(scored.stderr.split("log p ")[1].split(",")[0])
    assert -total / tokens == pytest.approx(nll, abs=1e-5)
    words = [*WORDS.split(), *THEN[name], "trainer.max_updates=24"]
    continued = run_script("train", *words, f"run={name}", cwd=tmp_path)
    if name == "first":  # it took another hash of the text
        assert continued.rc == 3, continued.stderr
        assert f"start another run from this one: init_from=runs/{name} run=NAME" in continued.stderr
        continued = run_script("train", *words, f"init_from={name}", "run=new", cwd=tmp_path)
        assert continued.rc == 0, continued.stderr
    else:
        assert continued.rc == 0, continued.stderr
        assert "continues after update 20" in continued.stderr
    assert [*tmp_path.glob("runs/*/checkpoints/step-24")]
