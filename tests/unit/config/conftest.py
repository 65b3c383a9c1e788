"""A small tree of choices for the real scripts' YAML files, so that these tests need no real part."""

from collections.abc import Callable
from pathlib import Path

import pytest

from seq2seq.config.command_line.script import Script
from seq2seq.config.composition import Composition, compose
from seq2seq.config.loading import load_train
from seq2seq.config.schema import EvaluateSettings, TrainSettings, TranslateSettings
from seq2seq.config.targets import Targets

TARGETS = Targets(packages=("sample_parts",), kinds={})
CHOICES = {
    "data/cldr": "Source\nfiles: {train: {source: a, target: b}, test: {source: c, target: d}}\nlocale: null",
    "data/corpus": "Source\nfiles: {train: {source: '${data_root}/a'}, test: {source: '${data_root}/c'}}\nlocale: de",
    "tokenizer/unigram": "Plain",
    "position/sinusoidal": "Plain",
    "normalizer/softmax": "Plain",
    "self_attention/full": "Plain",
    "feed_forward/plain": "Plain",
    "layer_norm/layer": "Plain",
    "adapter/none": "Plain",
    "pooling/none": "Plain",
    "attention/bahdanau": "Wide\ndropout: 0.0\nattn_dim: 256",
    "attention/luong_dot": "Small\ndropout: 0.0",
    "encoder/lstm": "Recurrent\nhidden_size: 256\nlayers: 1\nmode: before\nbias: true",
    "encoder/gru": "Recurrent\nhidden_size: 128\nlayers: 1\nmode: before\nbias: true",
    "decoder/lstm": "Recurrent\nhidden_size: 256\nlayers: 1\nmode: after\nbias: false",
    "generator/softmax": "Plain",
    "objective/cross_entropy": "Plain",
    "schedule/inverse_sqrt": "Decay\nwarmup: 1000\nhorizon: null",
    "search/beam": "Beam\nbeam_size: 5\nlength_penalty: 1.0\nmax_length: [200, 1.5]",
    "engine/ours": "Plain",
    "search/greedy": "Greedy\nmax_length: [200, 1.5]",
}


@pytest.fixture(autouse=True)
def usual_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests are of settings as they are without a SEQ2SEQ_CACHE of the user's own."""
    monkeypatch.delenv("SEQ2SEQ_CACHE", raising=False)


def adapted(text: str) -> str:
    """A script's YAML with choices of the small tree and a limit of updates."""
    for real, here in (
        ("tokenizer: bpe", "tokenizer: unigram"),
        ("attention: luong_general", "attention: bahdanau"),
        ("schedule: cosine", "schedule: inverse_sqrt"),
        ("max_updates: auto", "max_updates: 3000"),
    ):
        text = text.replace(real, here)
    return text


@pytest.fixture
def folder(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of configurations; the working directory is above it, and no SEQ2SEQ_DATA is set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQ2SEQ_DATA", raising=False)
    configs = tmp_path / "configs"
    for name in ("train.yaml", "evaluate.yaml", "translate.yaml", "trainer/default.yaml", "preset/none.yaml"):
        write(configs / name, adapted((repository / "configs" / name).read_text()))
    for name, text in CHOICES.items():
        write(configs / f"{name}.yaml", f"_target_: sample_parts.{text}\n_partial_: true\n")
    write(
        configs / "optimizer/adamw.yaml", "_target_: torch.optim.AdamW\n_partial_: true\nlr: 1e-3\nbetas: [0.9, 0.98]\n"
    )
    write(configs / "metrics/translation.yaml", "bleu:\n  _target_: sample_parts.Score\n  tokenize: 13a\n")
    for name in ("jsonl", "tensorboard"):
        write(configs / f"logger/{name}.yaml", f"{name}:\n  _target_: sample_parts.Plain\n")
    return configs


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A user's folder, `mine`, with two attentions and an experiment."""
    for name in ("one", "two"):
        write(tmp_path / f"mine/attention/{name}.yaml", "_target_: sample_parts.Small\n_partial_: true\ndropout: 0.0\n")
    text = "# @package _global_\ndefaults:\n  - override /attention: two\nencoder:\n  layers: 2\n"
    write(tmp_path / "mine/experiment/own/deep.yaml", text)
    return tmp_path / "mine"


@pytest.fixture
def experiment(folder: Path) -> Callable[[str], None]:
    """Writes configs/experiment/tiny/mine.yaml."""
    return lambda text: write(folder / "experiment/tiny/mine.yaml", text)


def load(composed: Composition) -> TrainSettings:
    return load_train(composed, targets=TARGETS)


@pytest.fixture
def train(folder: Path) -> Script:
    """scripts/train.py over the small tree."""
    return Script("train", TrainSettings, run=print, folder=folder, targets=TARGETS)


@pytest.fixture
def evaluate(folder: Path) -> Script:
    """scripts/evaluate.py over the small tree."""
    return Script("evaluate", EvaluateSettings, run=print, folder=folder, targets=TARGETS)


@pytest.fixture
def translate(folder: Path) -> Script:
    """scripts/translate.py over the small tree."""
    return Script("translate", TranslateSettings, run=print, folder=folder, targets=TARGETS)


@pytest.fixture
def settings(folder: Path) -> Callable[..., TrainSettings]:
    """Settings of train.yaml with these overrides, composed as Hydra would."""
    return lambda *overrides: load(compose(folder, "train", overrides))
