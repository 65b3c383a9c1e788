"""Names of runs, and which settings may resume a run."""

import copy
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

import pytest

from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.config.schema import BLOCKS, TrainSettings
from seq2seq.config.stored_run import (
    MOVED,
    diff,
    effective_settings,
    read_config,
    run_name,
    run_path,
    stored_config,
    write_config,
)
from seq2seq.config.yaml_files import read_yaml, write_yaml
from seq2seq.errors import CheckpointError, ConfigError

Make = Callable[..., TrainSettings]


def test_name_is_a_folder_in_runs_and_path_is_unchanged() -> None:
    assert run_path("a") == Path("runs/a")
    assert run_path("./a") == Path("a")
    assert run_path("/tmp/a b") == Path("/tmp/a b")


def test_a_run_is_named_by_its_parts_and_a_hash(settings: Make) -> None:
    name = settings().run
    assert name.startswith("cldr-lstm-bahdanau-lstm-")
    assert len(name.rpartition("-")[2]) == 8
    assert settings().run == name


def test_an_experiment_names_its_run(settings: Make, experiment: Callable[[str], None]) -> None:
    experiment("# @package _global_\nseed: 7\n")
    assert settings("experiment=tiny/mine").run.startswith("tiny-mine-")


SAME = [
    *(f"trainer.{limit}=9" for limit in ("max_updates", "max_epochs", "max_minutes")),
    *(
        f"trainer.{key}=9"
        for key in ("tokens_per_batch", "log_every", "save_every", "keep_last", "keep_best", "average")
    ),
    "trainer.probes=9",
    "trainer.patience=8",
    "trainer.deterministic=true",
    "trainer.strategy=single",
    "device=cpu",
    "logger=jsonl",
    "logger=[tensorboard]",
    "optimizer.betas=[0.9,0.98]",
    "encoder.hidden_size=256",
]
OTHER = [
    "seed=2",
    "precision=bf16",
    "encoder=gru",
    "encoder.layers=2",
    "tie=none",
    "init_from=a",
    "init_checkpoint=last",
    "init_fresh=[a]",
    "freeze=[a]",
    "embedding.size=8",
    "embedding.source_vectors=a",
    "embedding.scale=false",
    "embedding.norm=true",
    "length.max_source=8",
    "trainer.tokens_per_update=8",
    "trainer.validate_every=8",
    "trainer.clip_norm=null",
    "trainer.best_metric=valid/nll",
    "search.beam_size=1",
    "schedule.horizon=9000",
    "data.locale=de",
    "optimizer.lr=0.1",
]


def test_settings_that_do_not_change_the_training_keep_the_name(settings: Make) -> None:
    name = settings().run
    assert [override for override in SAME if settings(override).run != name] == []


def test_all_other_settings_change_the_name(settings: Make) -> None:
    names = {override: settings(override).run for override in OTHER}
    assert settings().run not in names.values()
    assert len(set(names.values())) == len(OTHER)


def test_new_setting_with_the_old_behaviour_keeps_the_name() -> None:
    new = load_train(compose(CONFIGS, "train", ["data=cldr", "trainer.validate_pairs=null", "trainer.count=target"]))
    old = copy.deepcopy(new.plain)
    del old["init_from"], old["trainer"]["validate_pairs"], old["trainer"]["count"]
    del old["tokenizer"]["symbols"], old["tokenizer"]["auto_size"], old["feed_forward"], old["layer_norm"]
    del old["adapter"], old["embedding"]["scale"], old["embedding"]["norm"], old["data"]["target_prefix"]
    assert run_name(old, new.choices) == run_name(new.plain, new.choices)
    old["tokenizer"]["symbols"] = ["<2de>"]
    assert run_name(old, new.choices) != run_name(new.plain, new.choices)


def test_settings_of_each_test_set_that_are_added_later_leave_the_name() -> None:
    words = [f"data.{split}.{side}=f" for split in ("train", "valid") for side in ("source", "target")]
    words += ["++data.extra={x: {source: a, target: b, references: []}}"]
    new = load_train(compose(CONFIGS, "train", ["data=files", *words]))
    old = copy.deepcopy(new.plain)
    assert old["data"]["extra"]["x"].pop("references") == []
    assert run_name(old, new.choices) == run_name(new.plain, new.choices)
    old["data"]["extra"]["x"]["references"] = ["r"]
    assert run_name(old, new.choices) != run_name(new.plain, new.choices)


def test_data_root_does_not_change_the_name(settings: Make) -> None:
    vectors = "embedding.source_vectors='${data_root}/vec.gz'"
    names = {settings("data=corpus", vectors, f"data_root={root}").run for root in ("/a", "b/c", "/a/")}
    assert len(names) == 1
    assert settings("data=corpus", vectors, "data.files.train.source=/a/b").run not in names


def test_a_diff_has_a_line_for_each_key(settings: Make) -> None:
    stored = settings("run=x").plain
    now = settings("run=y", "seed=2", "attention=luong_dot", "trainer.max_updates=9", "encoder.mode=after").plain
    assert diff(stored, now) == [
        "seed: 1 -> 2",
        "attention._target_: 'sample_parts.Wide' -> 'sample_parts.Small'",
        "attention.attn_dim: 256 -> (absent)",
        "encoder.mode: 'before' -> 'after'",
    ]


def test_limits_may_be_raised_and_the_horizon_stays(settings: Make) -> None:
    first = effective_settings(settings("run=x"), None)
    assert first.schedule.arguments["horizon"] == first.plain["schedule"]["horizon"] == 3000
    again = effective_settings(settings("run=x", "trainer.max_updates=6000", "device=cpu"), first.plain)
    assert again.schedule.arguments["horizon"] == again.plain["schedule"]["horizon"] == 3000
    assert again.trainer.max_updates == 6000
    third = effective_settings(settings("run=x", "schedule.horizon=3000"), again.plain)
    assert third.schedule == again.schedule


@pytest.mark.parametrize("horizon", ["x", [3], 0, -1, 2**63, 1.5])
def test_a_stored_horizon_must_be_a_number_of_updates(settings: Make, horizon: object) -> None:
    stored = {**settings("run=x").plain, "schedule": {"horizon": horizon}}
    with pytest.raises(ConfigError, match=r"schedule\.horizon: expected a whole number or null, got"):
        effective_settings(settings("run=x"), stored)
    assert effective_settings(settings("run=x", "schedule.horizon=7"), None).schedule.arguments["horizon"] == 7


def test_links_that_lead_out_of_a_run_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs/x/checkpoints").mkdir(parents=True)
    Path("runs/x/config.yaml").write_text("choices: {}\nencoder: {}\ndecoder: {}\ntokenizer: {}\n")
    Path("runs/x/best").symlink_to("checkpoints")
    assert stored_config("x")["encoder"] == {}
    Path("runs/x/checkpoints/step-1").symlink_to("/etc")
    message = "runs/x/checkpoints/step-1 is a link that leads out of the run's folder, to /etc: put there what it"
    with pytest.raises(CheckpointError, match=message):
        stored_config("x")


@pytest.mark.parametrize(("stored", "now", "same"), [
    ("auto", "auto", True), ("auto", "bf16", True), ("auto", "fp32", False), ("fp32", "fp32", True),
    ("fp32", "bf16", False), ("fp32", "auto", False),
])  # fmt: skip
def test_precision_chosen_by_auto_may_be_given(settings: Make, stored: str, now: str, same: bool) -> None:
    first = effective_settings(settings("run=x", f"precision={stored}"), None)
    with nullcontext() if same else pytest.raises(ConfigError, match=f"precision: '{stored}' -> '{now}'"):
        assert effective_settings(settings("run=x", f"precision={now}"), first.plain, "bf16") == first


def test_stored_configuration_is_resumed(settings: Make, tmp_path: Path) -> None:
    first = effective_settings(settings("run=x"), None)
    write_config(first, tmp_path / "config.yaml")
    assert effective_settings(settings("run=x"), read_config(tmp_path / "config.yaml")) == first


def test_command_line_is_stored_and_has_no_effect(settings: Make, tmp_path: Path) -> None:
    first = effective_settings(settings("run=x", "seed=1"), None)
    write_config(first, tmp_path / "config.yaml")
    assert read_yaml(tmp_path / "config.yaml")["command"] == ["run=x", "seed=1"]
    assert effective_settings(settings("run=x"), read_config(tmp_path / "config.yaml")) == first
    assert settings("seed=1").run == settings().run


def test_command_that_is_not_a_list_of_words_is_refused(settings: Make, tmp_path: Path) -> None:
    plain = effective_settings(settings("run=x"), None).plain
    write_yaml(plain | {"choices": {}, "command": "a"}, tmp_path / "config.yaml")
    with pytest.raises(CheckpointError, match="command: expected a list of words, got 'a'"):
        read_config(tmp_path / "config.yaml")


def test_missing_keys_of_an_older_run_get_their_old_values(settings: Make, tmp_path: Path) -> None:
    stored = effective_settings(settings("run=x"), None).plain
    stored = {key: value for key, value in stored.items() if key != "freeze"} | {"choices": {}}
    stored["search"] = {"_target_": "seq2seq.search.minimum_risk.MinimumRiskSearch", "unit": "words"}
    stored["encoder"] = {"_target_": "seq2seq.encoder.rnn.RnnEncoder", "cell": "gru"}
    stored["decoder"] = {"_target_": "seq2seq.decoder.transformer.TransformerDecoder", "layers": 2}
    write_yaml(stored, tmp_path / "config.yaml")
    read = read_config(tmp_path / "config.yaml")
    assert (read["freeze"], read["command"]) == ([], [])
    assert read["search"] == {**stored["search"], "types": ["rougeL"], "unit": "words", "tokenize": "13a"}
    assert read["encoder"] == {**stored["encoder"], "mask_end": False}
    assert read["decoder"] == {**stored["decoder"], "distinct_layers": None, "layer_drop": 0.0}
    assert read["pooling"] == stored["pooling"]


def test_older_run_has_the_parts_of_its_time(tmp_path: Path) -> None:
    new = effective_settings(load_train(compose(CONFIGS, "train", ["run=x"])), None)
    older = {key: value for key, value in new.plain.items() if key not in BLOCKS}
    write_yaml(older | {"choices": {"encoder": "lstm", "layer_norm": "mine"}}, tmp_path / "config.yaml")
    stored = read_config(tmp_path / "config.yaml")
    given = {"encoder": "lstm", "layer_norm": "mine"}
    assert stored["choices"] == {**{group: choice for group, (choice, _) in BLOCKS.items()}, **given}
    assert diff(stored, new.plain) == []


def test_older_run_without_a_choice_of_loggers_has_both(settings: Make, tmp_path: Path) -> None:
    first = effective_settings(settings("run=x"), None)
    older = {key: value for key, value in first.plain.items() if key != "logger"} | {"choices": {}}
    write_yaml(older, tmp_path / "config.yaml")
    stored = read_config(tmp_path / "config.yaml")
    assert list(stored["logger"]) == ["jsonl", "tensorboard"]
    assert effective_settings(settings("run=x", "logger=jsonl"), stored).logger.keys() == {"jsonl"}


def test_stored_choice_of_loggers_is_read_unchanged(settings: Make, tmp_path: Path) -> None:
    write_config(effective_settings(settings("run=x", "logger=jsonl"), None), tmp_path / "config.yaml")
    assert list(read_config(tmp_path / "config.yaml")["logger"]) == ["jsonl"]
    stored = read_config(tmp_path / "config.yaml")
    assert effective_settings(settings("run=x"), stored).logger.keys() == {"jsonl", "tensorboard"}


def test_moved_class_is_found(settings: Make, tmp_path: Path) -> None:
    stored = effective_settings(settings("run=x"), None).plain | {"choices": {}}
    stored["objective"] = {"_target_": "seq2seq.training.objective.CrossEntropy", "label_smoothing": 0.1}
    write_yaml(stored, tmp_path / "config.yaml")
    moved = read_config(tmp_path / "config.yaml")["objective"]
    assert moved["_target_"] == "seq2seq.objective.cross_entropy.CrossEntropy"
    assert moved["label_smoothing"] == 0.1
    for target in MOVED.values():
        module, _, name = target.rpartition(".")
        assert hasattr(import_module(module), name)


@pytest.mark.parametrize(
    "broken", [{"trainer": 5}, {"embedding": []}, {"search": {"_target_": ["a"]}}, {"logger": None}]
)
def test_broken_sections_are_read_unchanged(settings: Make, tmp_path: Path, broken: dict[str, object]) -> None:
    write_yaml(effective_settings(settings("run=x"), None).plain | {"choices": {}} | broken, tmp_path / "config.yaml")
    ((key, value),) = broken.items()
    assert read_config(tmp_path / "config.yaml")[key] == value


def test_older_files_without_references_have_none(settings: Make, tmp_path: Path) -> None:
    stored = effective_settings(settings("run=x"), None).plain | {"choices": {}}
    pair, target = {"source": "a", "target": "b"}, "seq2seq.data.files.ParallelFiles"
    stored["data"] = {"_target_": target, "train": pair, "test": {**pair, "references": ["c"]}, "extra": {"news": pair}}
    write_yaml(stored, tmp_path / "config.yaml")
    read = read_config(tmp_path / "config.yaml")["data"]
    assert read["train"] == read["extra"]["news"] == {**pair, "references": []}
    assert read["test"]["references"] == ["c"]


def test_cache_folder_is_not_part_of_the_run(settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEQ2SEQ_CACHE", raising=False)
    default, typed = settings(), settings("cache_dir=/typed")
    monkeypatch.setenv("SEQ2SEQ_CACHE", "/set")
    assert [each.cache_dir for each in (default, typed, settings())] == [".cache/seq2seq", "/typed", "/set"]
    assert default.run == typed.run == settings().run and not diff(default.plain, typed.plain)
    write_config(effective_settings(typed, None), tmp_path / "config.yaml")
    assert "cache_dir" not in read_yaml(tmp_path / "config.yaml")
    assert effective_settings(default, read_config(tmp_path / "config.yaml")).cache_dir == ".cache/seq2seq"


def test_changed_settings_are_refused_with_a_diff(settings: Make) -> None:
    first = effective_settings(settings("run=x"), None)
    with pytest.raises(ConfigError) as caught:
        effective_settings(settings("run=x", "schedule.horizon=6000", "seed=2"), first.plain)
    assert str(caught.value).split("\n") == [
        "run=x was started with other settings (then -> now):",
        "  seed: 1 -> 2",
        "  schedule.horizon: 3000 -> 6000",
        "Use its own settings to continue it, or start another run: run=NAME.",
    ]
