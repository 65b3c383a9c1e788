"""Damaged checkpoints are detected and skipped."""

import hashlib
import json
import logging
import random

import pytest
from unit.checkpoint.examples import flip, holds, put

from seq2seq.checkpoint import RunFolder, latest_intact, load, save_validated
from seq2seq.errors import CheckpointError


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json", "validated.json"])
def test_any_flipped_bit_is_detected(run: RunFolder, name: str) -> None:
    put(run, 5)
    if name == "validated.json":
        save_validated(run, 5, {"step": 5})
    file = run.checkpoint(5) / name
    size = file.stat().st_size
    for bit in random.Random(0).sample(range(8 * size), 40):
        flip(file, bit)
        with pytest.raises(CheckpointError, match=f"{name} is broken: its SHA-256 is not the one in manifest.json"):
            load(run, "last")
        flip(file, bit)
    assert holds(load(run, "last"), 5)


def test_flipped_bit_in_the_manifest_is_detected_or_harmless(run: RunFolder) -> None:
    put(run, 5)
    file = run.checkpoint(5) / "manifest.json"
    for bit in range(0, 8 * file.stat().st_size, 11):  # every bit position of a byte is tested
        flip(file, bit)
        try:
            assert holds(load(run, "last"), 5)
        except CheckpointError as error:
            assert "manifest.json" in str(error) or "is broken" in str(error)
        flip(file, bit)


@pytest.mark.parametrize("name", ["manifest.json", "model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("harm", ["missing", "cut", "empty"])
def test_missing_or_truncated_file_is_reported(run: RunFolder, name: str, harm: str) -> None:
    put(run, 5)
    file = run.checkpoint(5) / name
    if harm == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-2] if harm == "cut" else b"")  # the manifest ends with a line break
    with pytest.raises(CheckpointError, match=rf"step-5/{name} (cannot be read: No such file|is broken)"):
        load(run, "last")


def test_renamed_checkpoint_is_refused(run: RunFolder) -> None:
    put(run, 5)
    run.checkpoint(5).rename(run.checkpoint(6))
    with pytest.raises(CheckpointError, match=r"step-6/manifest.json is of step 5"):
        load(run, "last")


def test_manifest_of_a_later_format_is_refused(run: RunFolder) -> None:
    put(run, 5)
    file = run.checkpoint(5) / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 2}))
    with pytest.raises(CheckpointError, match="is of format 2; this version of seq2seq reads 1"):
        load(run, "last")


def test_resuming_skips_broken_checkpoints_with_a_warning(run: RunFolder, caplog: pytest.LogCaptureFixture) -> None:
    put(run, 1, 2, 3)
    flip(run.checkpoint(3) / "optimizer.safetensors", 4000)
    (run.checkpoint(2) / "manifest.json").unlink()
    found = latest_intact(run)
    assert found is not None and holds(found, 1)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "step-3/optimizer.safetensors is broken" in caplog.messages[0]
    put(run, 3)  # the broken one is replaced when training reaches it again
    assert holds(load(run, "last"), 3)


def test_no_intact_checkpoint_is_an_error(run: RunFolder) -> None:
    put(run, 1, 2)
    for step in (1, 2):
        (run.checkpoint(step) / "state.json").unlink()
    with pytest.raises(CheckpointError, match=r"(?s)no checkpoint of run demo is intact:.*step-2/state.*step-1/state"):
        latest_intact(run)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("state.json", b"[" * 5000 + b"]" * 5000, "state.json is broken: it is nested too deep"),
        ("state.json", b"[1]", "state.json is broken: it does not hold keys and values"),
        ("state.json", b'{"step": ' + b"9" * 5000 + b"}", "state.json is broken: a whole number of "),
        ("state.json", b" " * 16_000_001, "state.json cannot be read: it holds more than 16,000,000 bytes"),
        ("model.safetensors", b"no tensors", "step-5 holds no tensors that can be read"),
        ("optimizer.safetensors", b"\xff" * 64, "step-5 holds no tensors that can be read"),
    ],
)
def test_invalid_file_with_a_matching_hash_is_refused(run: RunFolder, name: str, content: bytes, message: str) -> None:
    put(run, 5)
    file, manifest = run.checkpoint(5) / name, run.checkpoint(5) / "manifest.json"
    file.write_bytes(content)
    forged = json.loads(manifest.read_bytes())
    forged["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    manifest.write_text(json.dumps(forged))
    for read in (lambda: load(run, "last"), lambda: latest_intact(run)):
        with pytest.raises(CheckpointError) as caught:
            read()
        assert message in str(caught.value)


@pytest.mark.parametrize("content", [b"[" * 5000, b"{" * 5000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b"null"])
def test_malformed_manifest_is_refused(run: RunFolder, content: bytes) -> None:
    put(run, 5)
    (run.checkpoint(5) / "manifest.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"manifest\.json is broken"):
        load(run, "last")
