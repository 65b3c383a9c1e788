"""The hub is never contacted: a local folder in its layout and a mock of the client replace it."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from seq2seq.data.columns import ColumnsOf
from seq2seq.data.hub import Hub
from seq2seq.errors import DataError
from seq2seq.types import Pair

README = """---
configs:
- config_name: de-en
  data_files:
  - {split: train, path: [one.jsonl, two.csv]}
  - {split: test, path: test.jsonl}
- config_name: other
  data_files: [{split: train, path: two.csv}]
---
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "README.md").write_text(README)
    (folder / "one.jsonl").write_text('{"s": "2021-01-01", "t": "x"}\n')
    (folder / "two.csv").write_text("s,t\nNA,null\n")
    (folder / "test.jsonl").write_text('{"s": "a", "r1": "b", "r2": "c"}\n')  # other columns than in train
    return folder


def hub(dataset: Path | str, **given) -> Hub:
    settings = {"revision": None, "subset": "de-en", "source": "s", "target": "t", "references": [], "train": "train"}
    own = {"valid": ColumnsOf(target="r1", references=["r1", "r2"])}
    settings |= {"valid": "test", "test": None, "extra": {}, "columns_of": own}
    return Hub(dataset=str(dataset), **settings | given)


def test_a_local_folder_in_hub_layout_is_read(folder: Path):
    data = hub(folder)
    assert data.splits() == ("train", "valid")
    assert list(data.read("train")) == [Pair("2021-01-01", "x"), Pair("NA", "null")]
    assert list(data.read("valid")) == [Pair("a", "b", ("b", "c"))]


def test_file_names_define_splits(tmp_path: Path):
    for split in ("train", "validation"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / f"{split}-00000-of-00001.jsonl").write_text(f'{{"s": "{split}", "t": "x"}}\n')
    data = hub(tmp_path, subset=None, valid="validation", columns_of={})
    assert [next(data.read(split)).source for split in data.splits()] == ["train", "validation"]


def test_a_changed_file_changes_the_fingerprint(folder: Path):
    before = {split: hub(folder).fingerprint(split) for split in ("train", "valid")}
    (folder / "two.csv").write_text("s,t\nNB,null\n")
    after = {split: hub(folder).fingerprint(split) for split in ("train", "valid")}
    assert before["train"] != after["train"] and before["valid"] == after["valid"]


MISTAKES = [
    ({"subset": "en-de"}, "cannot be read: BuilderConfig 'en-de' not found. Available: ['de-en', 'other']"),
    ({"subset": None}, "cannot be read: Config name is missing"),
    ({"valid": "tset"}, "has no split 'tset' (data.valid): did you mean 'test'? There are: train, test"),
]


@pytest.mark.parametrize(("given", "message"), MISTAKES)
def test_wrong_names_are_reported(folder: Path, given: dict, message: str):
    with pytest.raises(DataError) as error:
        list(hub(folder, **given).read("valid"))
    assert message in str(error.value)


def test_mistyped_folder_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder.parent)
    with pytest.raises(DataError) as error:
        list(hub("sett").read("train"))
    assert str(error.value).split("\n") == [
        "data.dataset=sett is not a folder here: did you mean 'set'? There are: set",
        "For a dataset of that name on the hub give its revision too: data.revision=main, or better a commit.",
    ]


def test_empty_folder_is_reported(tmp_path: Path):
    with pytest.raises(DataError, match=r"cannot be read: .*contain any data files"):
        list(hub(tmp_path, subset=None).read("train"))


def test_offline_uses_only_an_earlier_download(folder: Path, monkeypatch: pytest.MonkeyPatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="HF_HUB_OFFLINE is set, and no earlier download of some/set at main is cached"):
        list(hub("some/set", revision="main").read("train"))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(folder))
    assert next(hub("some/set", revision="main").read("train")) == Pair("2021-01-01", "x")


def test_unreachable_hub_is_contacted_once(monkeypatch: pytest.MonkeyPatch):
    import huggingface_hub.constants

    calls = []

    def unreachable(*arguments, **options):
        calls.append(arguments)
        raise OSError("Name or service not known")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", unreachable)
    with pytest.raises(DataError) as error:
        list(hub("some/set", revision="main").read("train"))
    reason = "the dataset some/set at main cannot be read: Name or service not known"
    assert str(error.value) == f"{reason}; HF_HUB_OFFLINE=1 uses an earlier download"
    assert len(calls) == 1


def test_files_on_the_hub_are_fetched_at_the_commit(folder: Path, monkeypatch: pytest.MonkeyPatch):
    import datasets
    import huggingface_hub.constants

    found = SimpleNamespace(sha="c0ffee")
    files = {"train": ["hf://datasets/some/set@c0ffee/one.jsonl"]}
    builder = SimpleNamespace(config=SimpleNamespace(data_files=files))
    fetched = []

    def fetch(name: str, file: str, *, revision: str, repo_type: str) -> str:
        fetched.append((name, file, revision, repo_type))
        return str(folder / file)

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *_, **__: found)
    monkeypatch.setattr(huggingface_hub, "file_exists", lambda *_, **__: True)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda _, **at: {"c0ffee": builder}[at["revision"]])
    assert next(hub("some/set", revision="main").read("train")) == Pair("2021-01-01", "x")
    assert fetched == [
        ("some/set", "README.md", "c0ffee", "dataset"),
        ("some/set", "one.jsonl", "c0ffee", "dataset"),
    ]
