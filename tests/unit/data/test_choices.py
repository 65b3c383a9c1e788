"""The YAML files of configs/data and configs/tokenizer, each compared with its class."""

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from seq2seq.config.reading import Reader
from seq2seq.config.targets import Targets
from seq2seq.data.text import TextData
from seq2seq.tokenizer import SentencePiece

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
CHOICES = sorted([*CONFIGS.glob("data/*.yaml"), *CONFIGS.glob("tokenizer/*.yaml")])
REQUIRED = {  # what the user must give
    "files": {"train": {"source": "a", "target": "b"}, "valid": {"source": "a", "target": "b"}},
    "table": {"train": "a.csv", "valid": "b.csv"},
    "hub": {"dataset": "folder"},
    "sacrebleu": {"test_set": "wmt14", "pair": "de-en"},
}


def compose(path: Path, root: str, **given: Any) -> dict[str, Any]:
    group = path.parent.name
    config = OmegaConf.create({"data_root": root, group: OmegaConf.load(path)})
    config[group] = OmegaConf.merge(config[group], REQUIRED.get(path.stem, {}), given)
    return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)[group]


def build(path: Path, root: str = "root", **given: Any) -> Any:
    reader = Reader(Targets())
    part = reader.part(path.parent.name, compose(path, root, **given), name=path.stem)
    assert not reader.problems and part is not None
    return part()


@pytest.mark.parametrize("path", CHOICES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_choice_gives_every_argument_and_can_be_built(path: Path):
    assert path.read_text().startswith("# ")
    given = compose(path, "root")
    module, _, name = given["_target_"].rpartition(".")
    signature = inspect.signature(getattr(importlib.import_module(module), name))
    assert set(given) - {"_target_", "_partial_"} == set(signature.parameters)
    assert isinstance(build(path), TextData if path.parent.name == "data" else SentencePiece)


def test_direction_of_a_named_corpus_can_be_swapped():
    default = build(CONFIGS / "data" / "multi30k.yaml")
    swapped = build(CONFIGS / "data" / "multi30k.yaml", source_language="en", target_language="de")
    assert default.files["train"] == (Path("root/multi30k/train.de.gz"), Path("root/multi30k/train.en.gz"))
    assert all(swapped.files[split] == default.files[split][::-1] for split in ("train", "valid", "test"))


def test_more_splits_can_be_named():
    more = build(CONFIGS / "data" / "multi30k.yaml", extra={"mine": {"source": "a", "target": "b"}})
    assert more.splits() == ("train", "valid", "test", "mine")


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["multi30k", "tatoeba_de_en", "dialogsum"])
def test_named_corpora_are_found(name: str, data_root: Path):
    data = build(CONFIGS / "data" / f"{name}.yaml", str(data_root))
    firsts = {split: next(data.read(split)) for split in data.splits()}
    assert list(firsts) == ["train", "valid", "test"] and all(pair.source and pair.target for pair in firsts.values())
    assert len(firsts["test"].references) == (3 if name == "dialogsum" else 0)
