"""The ONNX format: what is written and refused, and the loop that runs it."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_runs
import torch
from contract.combinations import Triple, some_batch
from sentencepiece import SentencePieceProcessor
from shape_checks import unchecked
from system.documents import files
from torch import Tensor, nn

from seq2seq.config.schema import ExportSettings, TrainSettings
from seq2seq.decoder.base import Decoder
from seq2seq.errors import ConfigError
from seq2seq.format.export import export
from seq2seq.inference.trained_model import load_trained
from seq2seq.inference.translator import Translator
from seq2seq.search.greedy import GreedySearch
from seq2seq.self_attention.base import SelfAttention
from seq2seq.training.run import train
from seq2seq.types import EOS, Part

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

import onnxruntime

from seq2seq.format.onnx import OnnxExport, OnnxFormat, write_graphs
from seq2seq.format.onnx_exporter import save_graph
from seq2seq.format.onnx_graphs import for_one_hypothesis
from seq2seq.format.onnx_state import Layout, tensors_of

BAHDANAU = Triple("lstm", "bahdanau", "gru", (("attend", "before"), ("input_feeding", True)))
COVERAGE = replace(BAHDANAU, attention="coverage")
TRANSFORMER = Triple("transformer", "multihead", "transformer")


@pytest.fixture(scope="module", autouse=True)
def traced_unchecked() -> Iterator[None]:
    """A traced function is called with symbols instead of sizes and positions, which the checks of shapes refuse."""
    with unchecked():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("onnx")


@pytest.fixture(scope="module")
def settings(folder: Path) -> Iterator[TrainSettings]:
    """A run of a few updates; the tests of this module that use it work in its folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        settings = small_runs.settings(
            "one", "trainer.max_updates=12", "data.source_prefix='de: '", "data.target_prefix='en: '"
        )
        train(settings)
        yield settings


def script(**given: Any) -> ExportSettings:
    part = Part("onnx", OnnxFormat, {"quantization": given.pop("quantization", "float32")})
    usual = {"run": "one", "checkpoint": "best", "output": None, "input": None, "sentences": 12, "changed": {}}
    return ExportSettings(format=part, **{**usual, **given})


@pytest.fixture(scope="module")
def exported(folder: Path, settings: TrainSettings) -> Path:
    export(script(), settings)
    return folder / "runs/one/export/onnx"


def test_export_is_checked_and_silent(
    settings: TrainSettings, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        export(script(output="again"), settings)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("seq2seq")] == [
        "tracing the encoder and the decoder",
        "checked with 12 sentences of the run's valid data: equal outputs",
        "wrote again",
    ]
    assert {record.name.partition(".")[0] for record in caplog.records if record.levelno > logging.DEBUG} == {"seq2seq"}
    assert capfd.readouterr() == ("", "")


def test_config_describes_the_graphs(exported: Path) -> None:
    config = json.loads((exported / "config.json").read_bytes())
    assert config["special"] == {"pad": 0, "unk": 1, "bos": 2, "eos": 3}
    assert (config["source_prefix"], config["max_length"]) == ("de: ", 12)
    (start,) = SentencePieceProcessor(model_file=str(exported / config["tokenizer"]["target"])).encode(["en:"])
    assert config["target_start"] == start
    assert all((exported / path).is_file() for path in config["tokenizer"].values())
    for name in ("encoder", "decoder_step"):
        session = onnxruntime.InferenceSession(exported / config[name]["file"])
        for side, values in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
            assert {value.name: value.shape for value in values} == {
                key: value["shape"] for key, value in config[name][side].items()
            }
    states = set(config["encoder"]["outputs"])
    assert set(config["decoder_step"]["inputs"]) == {"token", *states}
    changing = {name.removeprefix("next_") for name in config["decoder_step"]["outputs"]} - {"log_probs"}
    assert changing < states
    assert config["decoder_step"]["outputs"]["log_probs"]["shape"][0] == "batch"


def test_eight_bits_are_smaller_and_compared(
    settings: TrainSettings, exported: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        export(script(quantization="int8"), settings)
    assert "equal outputs" in caplog.text
    assert "outputs are equal to those of the model" in caplog.text
    rounded = exported.with_name("onnx-quantization=int8")
    for name in ("encoder.onnx", "decoder_step.onnx"):
        assert (rounded / name).stat().st_size < 0.6 * (exported / name).stat().st_size


@pytest.mark.parametrize(
    ("group", "part", "line"),
    [
        ("decoder", Decoder, "format=onnx has no decoder=mine: it can average, gru, lstm, ssru or transformer"),
        (
            "self_attention",
            SelfAttention,
            "format=onnx has no self_attention=mine: it can full, grouped_query, multi_query or windowed",
        ),
    ],
)
def test_parts_with_unknown_states_are_refused(group: str, part: type, line: str) -> None:
    settings = TRANSFORMER.settings()
    other = replace(settings, **{group: Part("mine", part, getattr(settings, group).arguments)})
    assert OnnxFormat.problems(other, quantization="float32") == [line]
    assert OnnxFormat.problems(settings, quantization="float32") == []
    if group == "self_attention":  # which a recurrent decoder does not use
        assert OnnxFormat.problems(replace(other, decoder=BAHDANAU.settings().decoder)) == []


class Branching(nn.Module):
    """What a user's own part may do: its result depends on a value."""

    def forward(self, inputs: tuple[Tensor]) -> tuple[Tensor]:
        (states,) = inputs
        return (states if states.sum() > 0 else -states,)


def test_what_torch_cannot_trace_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^format=onnx: torch cannot export this model \(a\.onnx\): .+$"):
        save_graph(tmp_path / "a.onnx", Branching(), {"states": (torch.ones(3, 2), {0: "batch"})}, ["found"])
    assert list(tmp_path.iterdir()) == []


class Operators(nn.Module):
    """The operators that we translate."""

    def forward(self, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        one, other = inputs
        return (
            torch.nn.functional.logsigmoid(one),
            torch.logaddexp(one, other),
            torch.logcumsumexp(one, -1),
            (other.clamp(min=-9).long()).cummax(-1).values,
        )


def test_translated_operators_have_the_whole_range(tmp_path: Path) -> None:
    """Sums of exponentials must neither vanish nor overflow, and minus infinity is a number like others."""
    names = ["log_sigmoid", "logaddexp", "logcumsumexp", "cummax"]
    axes = {0: "batch", 1: "length"}
    inputs = {name: (torch.zeros(3, 4), axes) for name in ("one", "other")}
    save_graph(tmp_path / "a.onnx", Operators(), inputs, names)
    one = torch.tensor([[-200.0, 0.0, 150.0, -1e9, 100.0], [-1e9, -1e9, -300.0, -310.0, 1.0]])
    other = torch.tensor([[-201.0, float("-inf"), 150.0, -1e9, 3.0], [2.0, 1.0, 7.0, -9.0, 8.0]])
    found = onnxruntime.InferenceSession(tmp_path / "a.onnx").run(names, {"one": one.numpy(), "other": other.numpy()})
    for name, ours, theirs in zip(names, Operators()((one, other)), found, strict=True):
        np.testing.assert_allclose(theirs, ours.numpy(), rtol=1e-5, atol=1e-30, err_msg=name)


@pytest.mark.parametrize("triple", [BAHDANAU, TRANSFORMER, COVERAGE], ids=str)
@torch.no_grad()
def test_state_is_its_tensors(triple: Triple) -> None:
    model = for_one_hypothesis(triple.model())
    batch = some_batch([4, 2], [3, 3])
    layout = Layout.of(model)
    state = model.start(model.encode(batch.source, batch.source_mask))
    for steps, token in enumerate(batch.target_in.split(1, 1)):
        rebuilt = layout.filled({name: tensors_of(state)[name] for name in layout.examples}, steps)
        expected, _, state = model.step(token, state)
        found, _, after = model.step(token, rebuilt)
        assert torch.equal(found, expected)
        assert tensors_of(after).keys() == tensors_of(state).keys()
        constant = set(layout.examples) - set(layout.changing)
        assert all(torch.equal(tensors_of(after)[name], tensors_of(rebuilt)[name]) for name in constant)


@pytest.mark.parametrize(
    ("triple", "names"),
    [
        (BAHDANAU, "token cells_0_0 cells_1_0 fed attention_keys attention_values attention_mask"),
        (
            Triple("gru", "local_m", "gru", (("attend", "after"), ("input_feeding", False))),
            "token position cells_0_0 cells_1_0 attention_keys attention_values attention_mask",
        ),
        (
            Triple("gru", "luong_dot", "transformer", (("distinct_layers", 1),), (("generator", "pointer"),)),
            "token caches_0_keys caches_0_values caches_1_keys caches_1_values attention_0_keys attention_0_mask "
            "tokens",
        ),
    ],
    ids=str,
)
def test_inputs_of_the_step_are_what_it_uses(triple: Triple, names: str, tmp_path: Path) -> None:
    """One tensor for keys and values that are the same, or that several layers share; the position and the source only
    where they matter."""
    assert [*write_graphs(triple.model().float(), tmp_path)["decoder_step"]["inputs"]] == names.split()


def test_files_do_not_name_our_code(exported: Path, repository: Path) -> None:
    for name in ("encoder.onnx", "decoder_step.onnx"):
        content = (exported / name).read_bytes()
        assert b".py" not in content
        assert str(repository).encode() not in content


def test_loop_gives_our_greedy_outputs(tmp_path: Path) -> None:
    model = BAHDANAU.model().float()
    write_graphs(model, tmp_path)
    (tmp_path / "config.json").write_text("{}")
    batch = some_batch([6, 3, 5, 1], [1, 1, 1, 1])
    sources = [[i for i in row if i > EOS] for row in batch.source.tolist()]
    with torch.no_grad():
        search = GreedySearch(max_length=9, max_length_ratio=1.0)
        ours = [one.tokens for (one,) in search(model, batch.source, batch.source_mask)]
    limits = (search.limits(batch.lengths) - 1).tolist()
    export = OnnxExport(tmp_path)
    assert export.greedy(sources, limits) == ours
    assert export.greedy([[], sources[0], sources[1]], [5, 0, 1]) == [[], [], ours[1][:1]]
    assert export.greedy([[]], [5]) == [[]]


def test_documented_program_runs_without_torch(
    settings: TrainSettings, exported: Path, repository: Path, tmp_path: Path
) -> None:
    """The page shows the class that the check uses, and a program around it, which translates like our search."""
    program = files(repository / "docs/onnx.md")["onnx_translate.py"]
    loop = (repository / "seq2seq/format/onnx_greedy.py").read_text(encoding="utf-8")
    assert loop.partition("\n\n\n")[2] in program
    (tmp_path / "onnx_translate.py").write_text(program, encoding="utf-8")
    without = "import runpy, sys; sys.modules['torch'] = sys.modules['seq2seq'] = None; del sys.argv[0]; "
    texts = ["in 5 days", "", "May 5"]
    done = subprocess.run(
        [sys.executable, "-c", f"{without}runpy.run_path('onnx_translate.py', run_name='__main__')", "_", exported],
        input="\n".join(texts),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    search = GreedySearch(max_length=12, max_length_ratio=100.0)
    translator = Translator(load_trained("one", settings, "best"), settings, search)
    ours = [found.text for found in translator.translate(texts)]
    assert (done.stdout, done.stderr) == ("".join(f"{text}\n" for text in ours), "")
    assert ours[0] != ours[1] == ""
