"""The folder of a run may come from anyone: nothing in it is executed, read or written elsewhere, or waited for."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from faults.conftest import Campaign
from faults.malice import (
    ESCAPE,
    LAUGHS,
    STEP,
    TENSOR,
    Malice,
    bomb,
    both,
    config,
    file,
    forged_manifest,
    gone,
    link,
    lying_array,
    pickled,
    pickled_arrays,
    pipe,
    safetensors,
    yaml_text,
)
from faults.tiny_run import copy_of, settings, train_tiny
from system.scripts import Finished, run_script

from seq2seq.streams import visible

SCRIPTS = ("translate", "evaluate", "score", "attention", "train", "export", "compare", "python")
LOADS = frozenset({"translate", "evaluate", "score", "attention", "export", "python"})  # read the settings and weights
EVERY = frozenset(SCRIPTS)


class Case(NamedTuple):
    """What is done to the run, and which scripts must refuse it; the others may, or do without what it touches.

    `words` are added to the command lines of translate and evaluate.
    """

    malice: Malice
    refused: frozenset[str] = LOADS
    words: tuple[str, ...] = ()


TARGET = "encoder._target_"
NO_SUMS = gone("tokenizer/sha256.json")
CASES = {
    "YAML that calls": Case(yaml_text("x: !!python/object/apply:os.system ['touch CANARY']\n"), EVERY),
    "YAML with another tag": Case(yaml_text("x: !!python/name:os.system\n"), EVERY),
    "YAML of a billion values": Case(yaml_text(LAUGHS), EVERY),
    "YAML nested deep": Case(yaml_text("x: " + "[" * 100_000 + "\n"), EVERY),
    "YAML of 3 MB": Case(yaml_text("x: " + "y" * 3_000_000 + "\n"), EVERY),
    "a function as a part": Case(config((TARGET, "os.system"), ("encoder.command", "touch CANARY"))),
    "a function by way of a module of ours": Case(config((TARGET, "seq2seq.errors.re.sys.modules"))),
    "a class that a module of ours imports": Case(config((TARGET, "seq2seq.metrics.command.subprocess.Popen"))),
    "a class that is no part": Case(config((TARGET, "seq2seq.inference.translator.Translator"))),
    "a part of another kind": Case(config((TARGET, "seq2seq.data.embedded.docstrings.Docstrings"))),
    "an optimizer's module": Case(config(("optimizer._target_", "torch.optim.adamw.torch.load"))),
    "a package of their own": Case(config((TARGET, "evil.Part"), ("extensions", ["evil"]))),
    "a part inside a part": Case(config(("encoder.extra", {"_target_": "evil.Part"}))),
    "a metric's command": Case(
        config(("metrics", {"mine": {"_target_": "seq2seq.metrics.external.External", "_partial_": True,
                                     "name": "mine", "command": ["touch", "CANARY"]}})),
        frozenset({"evaluate"}),
    ),
    "a logger that calls": Case(config(("logger", {"x": {"_target_": "builtins.exec", "code": "1"}}))),
    "interpolations": Case(config(("seed", "${oc.env:HOME}"), ("device", "${oc.env:SHELL}"))),
    "names that control a terminal": Case(config((TARGET, f"seq2seq.{ESCAPE}.X"), (f"encoder.{ESCAPE}", 1))),
    "sections of other types": Case(config(("choices", ["x"]), ("preset", 3), ("command", "x")), EVERY),
    "a schedule of another type": Case(config(("schedule", "x")), LOADS | {"train"}),
    "a horizon of another type": Case(config(("schedule.horizon", ["x"])), frozenset({"train"})),
    "an encoder of a million units": Case(config(("encoder.hidden_size", 1_000_000))),
    "a billion layers": Case(config(("encoder.layers", 1_000_000_000))),
    "another run as its beginning": Case(config(("init_from", "hf:evil")), frozenset()),
    "folders elsewhere": Case(config(("cache_dir", "CANARY"), ("data_root", "/proc")), frozenset()),
    "a configuration that is a pipe": Case(pipe("config.yaml"), EVERY),
    "a configuration elsewhere": Case(link("config.yaml", "OUTSIDE/config.yaml"), EVERY),
    "a device as the configuration": Case(link("config.yaml", "/dev/zero"), EVERY),
    "a pickle as the tokenizer": Case(both(file("tokenizer/joint.model", pickled), NO_SUMS)),
    "rubbish as the tokenizer": Case(both(file("tokenizer/joint.model", b"\x0a\xff" * 500), NO_SUMS)),
    "a tokenizer elsewhere": Case(file("tokenizer/sha256.json", b'{"../../base/tokenizer/joint.model": "x"}')),
    "a link as the tokenizer": Case(link("tokenizer/joint.model", "OUTSIDE/tokenizer/joint.model"), EVERY),
    "a device as the tokenizer": Case(link("tokenizer/joint.model", "/dev/zero"), EVERY),
    "a pipe as the tokenizer": Case(pipe("tokenizer/joint.model")),
    "a pickle as the weights": Case(file(f"{STEP}/model.safetensors", pickled, seal=True), LOADS | {"train"}),
    "weights with a long header": Case(
        file(f"{STEP}/model.safetensors", safetensors({}, length=2**62), seal=True), LOADS | {"train"}
    ),
    "weights beyond their file": Case(
        file(f"{STEP}/model.safetensors", safetensors({"a": {**TENSOR, "data_offsets": [0, 2**40]}}), seal=True),
        LOADS | {"train"},
    ),
    "weights of a vast shape": Case(
        file(f"{STEP}/model.safetensors", safetensors({"a": {**TENSOR, "shape": [2**40, 2**30]}}), seal=True),
        LOADS | {"train"},
    ),
    "a pipe as the weights": Case(pipe(f"{STEP}/model.safetensors"), LOADS | {"train"}),
    "weights elsewhere": Case(link(f"{STEP}/model.safetensors", f"OUTSIDE/{STEP}/model.safetensors"), EVERY),
    "a checkpoint elsewhere": Case(link(STEP, f"OUTSIDE/{STEP}"), EVERY),
    "all checkpoints elsewhere": Case(link("checkpoints", "OUTSIDE/checkpoints"), EVERY),
    "the best one elsewhere": Case(link("best", f"OUTSIDE/{STEP}"), EVERY),
    "the best one above": Case(file("best", b"checkpoints/step-2/../../../base/checkpoints/step-2")),
    "a manifest of files elsewhere": Case(forged_manifest("../../../x.safetensors", "../../x"), frozenset()),
    "a state of other types": Case(
        file(f"{STEP}/validated.json", b'{"update": [], "ranking": {"a": 1}, "schedule": 3}', seal=True),
        frozenset({"train", "compare"}),
    ),
    "a state nested deep": Case(
        file(f"{STEP}/validated.json", b"[" * 100_000, seal=True), LOADS | {"train", "compare"}
    ),
    "a lexicon that is a pickle": Case(file("lexicon.npz", pickled_arrays), frozenset({"translate"}), ("shortlist=5",)),
    "a lexicon of 400 MB": Case(file("lexicon.npz", bomb), frozenset({"translate"}), ("shortlist=5",)),
    "a lexicon that lies": Case(file("lexicon.npz", lying_array()), frozenset({"translate"}), ("shortlist=5",)),
    "a pipe as the lexicon": Case(pipe("lexicon.npz"), frozenset({"translate"}), ("shortlist=5",)),
    "results of other types": Case(
        file("eval/test.json", b'{"checkpoint": "step-2", "split": 3, "bleu": {"score": "x", "low": [], "high": {}}}'),
        frozenset({"compare"}),
    ),
    "results that are a pipe": Case(pipe("eval/test.json"), frozenset({"compare"})),
    "numbers of training that are none": Case(
        file("metrics.jsonl", b'{"update": 2, "valid/nll": "x", "train/seconds_per_update": []}\n' + b"[" * 90_000),
        frozenset({"compare"}),
    ),
    "results written elsewhere": Case(link("eval", "OUTSIDE/eval"), EVERY),
}  # fmt: skip
FAST = {  # in `make test` each script tries one
    "translate": "a class that a module of ours imports",
    "python": "a package of their own",
    "evaluate": "a metric's command",
    "train": "a pickle as the weights",
    "score": "the best one elsewhere",
}
CANARIES = "evil/__init__.py"
LOAD = """
import sys
sys.path.insert(0, ".")
from seq2seq import Translator
from seq2seq.errors import Seq2SeqError
from seq2seq.streams import visible
try:
    Translator.load("bad").translate(["eins"])
except Seq2SeqError as error:
    print(visible(str(error)), file=sys.stderr)
    sys.exit(error.exit_code)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained and evaluated run `base`, and a package that makes a canary where it is imported."""
    folder = tmp_path_factory.mktemp("malicious")
    train_tiny(folder)
    evaluated = run_script("evaluate", "run=base", "bootstrap=40", cwd=folder)
    assert evaluated.rc == 0, evaluated.stderr
    (folder / "evil").mkdir()
    (folder / CANARIES).write_text("import pathlib\npathlib.Path(__file__).with_name('canary').touch()\n")
    (folder / "load.py").write_text(LOAD)
    return folder


def words_of(script: str, case: Case) -> list[str]:
    """The command line of a script for the run `bad`."""
    more = list(case.words)
    if script == "translate":
        return ["run=bad", "input=test.de", "output=out", *more]
    if script == "evaluate":
        return ["run=bad", "bootstrap=0", *more]
    if script == "attention":
        return ["run=bad", "pictures=0", "page=1", "sentences=1"]
    if script == "train":
        return ["run=bad", *(word for word in settings() if "max_updates" not in word), "trainer.max_updates=3"]
    if script == "export":
        return ["run=bad", "format=onnx"]
    return ["runs=base,bad"] if script == "compare" else ["run=bad"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_folder_of_a_stranger_is_executed(folder: Path, campaign: Campaign, script: str) -> None:
    tried = [*CASES] if campaign.whole else [FAST[script]] if script in FAST else []
    found: dict[str, list[str]] = {"executed": [], "tracebacks": [], "hangs": [], "other_codes": [], "raw_output": []}
    canary = folder / "evil/canary"
    for name in tried:
        case, bad = CASES[name], folder / "runs/bad"
        copy_of(folder / "runs/base", bad)
        case.malice(bad, canary)
        try:
            program = str(folder / "load") if script == "python" else script
            judge(name, case, script, run_script(program, *words_of(script, case), cwd=folder, timeout=60), found)
        except TimeoutError as error:
            found["hangs"].append(f"{name}: {error}")
        found["executed"] += [name] * canary.exists()
        canary.unlink(missing_ok=True)
        shutil.rmtree(bad)
    if tried:
        counts = {kind: len(each) for kind, each in found.items()}
        campaign.report(f"malicious runs, {script}", trials=len(tried), **counts)
    wrong = [f"{kind}: {each}" for kind, several in found.items() for each in several]
    assert not wrong, "\n\n".join(wrong)


def judge(name: str, case: Case, script: str, finished: Finished, found: dict[str, list[str]]) -> None:
    """Note what is wrong with a script's end."""
    output = finished.stderr + finished.stdout
    said = f"{name}: code {finished.rc}\n{finished.stderr[-800:]}"
    allowed = (2, 3, 4) if script in case.refused else (0, 2, 3, 4)
    allowed += (5,) if script == "train" else ()  # it cannot write where a folder of the run is a link
    found["tracebacks"] += [said] * ("Traceback" in finished.stderr)
    found["other_codes"] += [said] * (finished.rc not in allowed or finished.stderr.count("\n") > 30)
    found["raw_output"] += [said] * (visible(output) != output)
