"""From compositions to settings: for training, and for the scripts that work on a run."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from omegaconf import DictConfig, OmegaConf
from sample_parts import Beam, Greedy, Recurrent

from seq2seq.config import CONFIGS, read_config, write_config
from seq2seq.config.command_line.check import check
from seq2seq.config.command_line.script import Script
from seq2seq.config.composition import compose
from seq2seq.config.loading import load_train
from seq2seq.config.problems import Mistakes
from seq2seq.config.schema import EvaluateSettings, TrainerSettings, TrainSettings
from seq2seq.config.stored_run import effective_settings
from seq2seq.config.targets import Targets
from seq2seq.config.yaml_files import write_yaml
from seq2seq.errors import CheckpointError

TARGETS = Targets(packages=("sample_parts",), kinds={})


def mistakes(make: Callable[[], object]) -> tuple[str, ...]:
    with pytest.raises(Mistakes) as caught:
        make()
    return caught.value.lines


def test_settings_are_plain_resolved_and_named(settings: Callable[..., TrainSettings]) -> None:
    found = settings("data=corpus", "encoder=gru", "run='7'", "data_root=/corpora", "trainer.max_minutes=5")
    assert (found.run, found.data_root, found.tie) == ("7", "/corpora", "target")
    assert found.data.arguments["files"]["train"] == {"source": "/corpora/a"}
    assert (found.encoder.name, found.encoder.target, found.encoder.arguments["hidden_size"]) == ("gru", Recurrent, 128)
    assert isinstance(found.trainer, TrainerSettings)
    assert found.trainer.max_minutes == 5.0
    assert (found.choices["encoder"], found.choices["trainer"]) == ("gru", "default")
    assert found.metrics["bleu"].arguments == {"tokenize": "13a"}
    assert found.plain["encoder"]["_target_"] == "sample_parts.Recurrent"
    assert found.plain["optimizer"]["_target_"] == "torch.optim.AdamW"
    assert found.plain["data"]["files"]["test"] == {"source": "/corpora/c"}


def test_data_root_comes_from_the_environment_as_text(
    settings: Callable[..., TrainSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings().data_root == "data"
    monkeypatch.setenv("SEQ2SEQ_DATA", "7")
    assert settings().data_root == "7"
    assert settings("data_root=here").data_root == "here"


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("seed=-1", "seed=-1: expected 0 or more, got -1"),
        ("run=''", "run=: expected a name (runs/NAME) or a path with a slash, got ''"),
        ("run=..", "run=..: expected a name (runs/NAME) or a path with a slash, got '..'"),
        ("embedding.dropout=1", "embedding.dropout=1: expected a share from 0 to below 1, got 1.0"),
        ("length.max_source=0", "length.max_source=0: expected more than 0, got 0"),
        ("trainer.patience=0", "trainer.patience=0: expected more than 0, got 0"),
        (
            "trainer.max_updates=null",
            "trainer.max_updates=null: the run has no end: give max_updates, max_epochs or max_minutes",
        ),
        ("search.beam_size=0", "search.beam_size=0: expected 1 or more, got 0"),
        ("seed=???", "seed=???: must be given: a whole number"),
    ],
)
def test_values_of_the_right_type_may_still_be_wrong(
    settings: Callable[..., TrainSettings], override: str, line: str
) -> None:
    assert mistakes(lambda: settings(override)) == (line,)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("encoder.layer_drop=1", "a share from 0 to below 1, got 1.0"),
        ("encoder.distinct_layers=0", "1 or more, got 0"),
        ("encoder.norm=dep", "one of pre, post, deep"),
    ],
)
def test_limits_of_a_transformers_layers(override: str, expected: str) -> None:
    (line,) = mistakes(lambda: load_train(compose(CONFIGS, "train", ["encoder=transformer", override])))
    assert line.startswith(f"{override}: expected {expected}")


def test_only_classes_of_parts_are_allowed(settings: Callable[..., TrainSettings]) -> None:
    (line,) = mistakes(lambda: settings("encoder._target_=os.system"))
    assert line.startswith("encoder._target_=os.system: 'os.system' is not allowed")


def test_an_empty_mapping_changes_nothing(settings: Callable[..., TrainSettings]) -> None:
    """Hydra merges it into the existing value."""
    files = settings().data.arguments["files"]
    assert files
    assert settings("data.files={}").data.arguments["files"] == files


@pytest.mark.parametrize(
    ("words", "horizon"),
    [
        ([], 3000),
        (["trainer.max_updates=null", "trainer.max_epochs=3"], None),
        (["trainer.max_updates=auto"], None),
        (["trainer.max_minutes=10"], None),
        (["trainer.max_minutes=10", "schedule.horizon=9"], 9),
    ],
)
def test_horizon_that_depends_on_data_or_time_is_set_later(
    settings: Callable[..., TrainSettings], words: list[str], horizon: int | None
) -> None:
    assert effective_settings(settings(*words), None).schedule.arguments["horizon"] == horizon


@pytest.mark.parametrize(("metrics", "best"), [("", "valid/bleu"), ("{}", "valid/nll")])
def test_default_best_metric_depends_on_the_metrics(
    folder: Path, settings: Callable[..., TrainSettings], metrics: str, best: str
) -> None:
    if metrics:
        (folder / "metrics/translation.yaml").write_text(metrics)
    assert settings().trainer.best_metric == settings().plain["trainer"]["best_metric"] == best


def test_two_metrics_cannot_have_scores_of_one_name(folder: Path, settings: Callable[..., TrainSettings]) -> None:
    one = "_target_: sample_parts.Score\n  tokenize: 13a\n"
    (folder / "metrics/translation.yaml").write_text(f"bleu:\n  {one}chars:\n  {one}")
    line = (
        "configs/metrics/translation.yaml:4: metrics.chars: metrics.bleu has a score called bleu too; name them apart"
    )
    assert mistakes(settings) == (line,)


def test_interpolation_of_a_missing_key_is_a_mistake(folder: Path, settings: Callable[..., TrainSettings]) -> None:
    path = folder / "encoder/lstm.yaml"
    path.write_text(path.read_text().replace("256", "${embeding.size}").replace("layers: 1", "layers: ${seed}"))
    lines = mistakes(settings)
    assert lines[0] == "configs/encoder/lstm.yaml:2: encoder.hidden_size: Interpolation key 'embeding.size' not found"


def test_checks_are_reported_with_other_mistakes_unless_those_break_them(folder: Path) -> None:
    def check_width(found: TrainSettings) -> list[str]:
        return [f"{1 / (found.encoder.arguments['hidden_size'] - 3)} of it"]

    def load(*overrides: str) -> TrainSettings:
        return load_train(compose(folder, "train", overrides), checks=[check_width], targets=TARGETS)

    assert mistakes(lambda: load("encoder.hidden_size=5")) == ("0.5 of it",)
    assert mistakes(lambda: load("encoder.hidden_size=5", "seed=x"))[1:] == ("0.5 of it",)
    assert mistakes(lambda: load("encoder.hidden_size=x"))[1:] == ()
    with pytest.raises(ZeroDivisionError):  # there is no other mistake, so it is a bug: it is raised
        load("encoder.hidden_size=3")


def test_targets_of_the_tests_are_not_allowed_by_default(folder: Path) -> None:
    lines = mistakes(lambda: load_train(compose(folder, "train")))
    assert lines[0].startswith("configs/data/cldr.yaml:1: data._target_: 'sample_parts.Source' is not allowed")


@pytest.fixture
def run(settings: Callable[..., TrainSettings]) -> TrainSettings:
    """A run in runs/one, trained with beam 4 on a corpus below /old."""
    found = settings("run=one", "data=corpus", "data_root=/old", "search.beam_size=4", "device=cpu", "seed=3")
    Path("runs/one").mkdir(parents=True)
    write_config(found, Path("runs/one/config.yaml"))
    return found


def load(script: Script, *words: str) -> tuple[EvaluateSettings, TrainSettings]:
    return script.load(check(script, words)[1])


def test_a_run_is_evaluated_with_its_own_settings(evaluate: Script, run: TrainSettings) -> None:
    own, found = load(evaluate, "run=one")
    assert own == EvaluateSettings(
        run="one",
        split="test",
        checkpoint="best",
        baseline=None,
        baselines="auto",
        bootstrap=1000,
        shortlist=None,
        ensemble=[],
        changed={},
    )
    assert found == run


def test_only_given_keys_change_the_settings(evaluate: Script, run: TrainSettings) -> None:
    own, found = load(
        evaluate, "run=one", "search.beam_size=1", "split=valid", "device=auto", "trainer.tokens_per_batch=9"
    )
    assert (own.split, own.changed) == ("valid", {"search.beam_size": 1})
    assert (found.search.target, found.search.name) == (Beam, "beam")
    assert found.search.arguments == {**run.search.arguments, "beam_size": 1}
    assert (found.device, found.trainer.tokens_per_batch) == ("auto", 9)
    assert replace(found, search=run.search, device="cpu", trainer=run.trainer, plain=run.plain) == run


@pytest.mark.parametrize(
    ("checkpoint", "changed"), [("best", {}), *((mean, {"trainer.average": 2}) for mean in ("average", "average-best"))]
)
def test_the_number_of_averaged_checkpoints_matters_to_their_mean(
    evaluate: Script, run: TrainSettings, checkpoint: str, changed: dict[str, int]
) -> None:
    assert load(evaluate, "run=one", f"checkpoint={checkpoint}", "trainer.average=2")[0].changed == changed


def test_another_choice_replaces_that_of_the_run(evaluate: Script, run: TrainSettings) -> None:
    own, found = load(evaluate, "run=one", "search=greedy", "data=cldr")
    assert (found.search.target, found.search.name) == (Greedy, "greedy")
    assert own.changed["search"] == "greedy"
    assert not [key for key in own.changed if key.startswith("search.")]
    assert "search.beam_size" not in found.search.arguments
    assert (found.data.name, found.choices["search"]) == ("cldr", "greedy")
    assert found.data.arguments["locale"] is None


@pytest.mark.parametrize(
    ("word", "baselines"),
    [("none", "none"), ("[lead-1,random-10]", ["lead-1", "random-10"])],
)
def test_baselines_may_be_named(evaluate: Script, run: TrainSettings, word: str, baselines: str | list[str]) -> None:
    assert load(evaluate, "run=one", f"baselines={word}")[0].baselines == baselines


def test_corpora_are_found_below_another_root(evaluate: Script, run: TrainSettings) -> None:
    found = load(evaluate, "run=one", "data_root=/new")[1]
    assert found.data.arguments["files"] == {"train": {"source": "/new/a"}, "test": {"source": "/new/c"}}
    found = load(evaluate, "run=one", "data=corpus")[1]
    assert found.data.arguments["files"]["train"] == {"source": "/old/a"}


def test_run_may_be_in_any_folder(evaluate: Script, run: TrainSettings) -> None:
    Path("runs/one").rename("else where")
    own, found = load(evaluate, "run=./else where", "data.files.extra.source=a=b")
    assert own.run == found.run == "./else where"
    assert found.data.arguments["files"]["extra"] == {"source": "a=b"}


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ([], ["run=NAME: must be given (NAME means runs/NAME, anything with a slash is a path)"]),
        (["run=one", "search.beam_sise=1"], ["search.beam_sise=1: no such key; did you mean beam_size? "
                                             "search=beam takes: beam_size, length_penalty, max_length"]),
        (["run=one", "search=greedy", "search.beam_size=1"], ["search.beam_size=1: no such key. "
                                                              "search=greedy takes: max_length"]),
        (["run=one", "search.beam_size=x"], ["search.beam_size=x: expected a whole number, got 'x'"]),
        (["run=one", "encoder=gru", "split=1"], ["encoder=gru: evaluate has no choice of encoder; it has: "
                                                 "data, engine, metrics, search, trainer"]),
        (["run=one", "encoder.layers=2"], ["encoder.layers=2: it belongs to the trained run; keys that can be "
                                           "changed are below: data, engine, metrics, search, trainer"]),
        (["run=one", "tie=all"], ["tie=all: it belongs to the trained run; keys that can be changed are below: "
                                  "data, engine, metrics, search, trainer"]),
        (["run=one", "spilt=test"], ["spilt=test: no such key; did you mean split?"]),
        (["run=one", "device=gpu", "bootstrap=-1"], [
            "bootstrap=-1: expected 0 or more, got -1",
            "device=gpu: expected auto, cpu, cuda or one of several (cuda:1), got 'gpu'; did you mean cuda?",
        ]),
        (["run=one", "checkpoint=step5"], ["checkpoint=step5: expected best, last, average, average-best, ema "
                                           "or step-N, got 'step5'"]),
        (["run=one", "baselines=lead3"], ["baselines=lead3: expected auto, none, or names such as lead-3 and "
                                          "random-3, got 'lead3'"]),
        (["run=one", "baselines=[lead-1,auto]"], ["baselines=[lead-1,auto]: expected auto, none, or names such as "
                                                  "lead-3 and random-3, got 'auto'"]),
        (["run=one", "+search.beam_size=1"], [
            "+search.beam_size=1: write keys without +; only existing keys can be set"
        ]),
        (["run=one", "~metrics.bleu"], [
            "~metrics.bleu: it belongs to the run; choose other metrics: metrics=..."
        ]),
        (["run=non", "+x=1"], ["+x=1: write keys without +; only existing keys can be set",
                               "run=non: there is no runs/non/config.yaml; did you mean one? Runs in runs: one"]),
    ],
)  # fmt: skip
def test_mistakes_with_a_run_are_reported(
    evaluate: Script, run: TrainSettings, words: list[str], lines: list[str]
) -> None:
    assert mistakes(lambda: load(evaluate, *words)) == tuple(lines)


def test_missing_or_broken_run_is_a_checkpoint_error(evaluate: Script, run: TrainSettings) -> None:
    with pytest.raises(CheckpointError, match="did you mean one\\?"):
        load(evaluate, "run=on")
    Path("runs/one/config.yaml").write_text("a: [")
    with pytest.raises(CheckpointError, match=r"runs/one/config[.]yaml: line 1"):
        load(evaluate, "run=one")
    Path("runs/one/config.yaml").write_text("a: 1\n")
    with pytest.raises(CheckpointError, match="not the configuration of a run"):
        load(evaluate, "run=one")


def test_stored_configuration_is_checked(evaluate: Script, run: TrainSettings) -> None:
    path = Path("runs/one/config.yaml")
    written = path.read_text().partition("\n")[2]  # without its SHA-256
    path.write_text(written.replace("sample_parts.Plain", "os.system", 1).replace("layers: 1", "layers: x", 1))
    lines = mistakes(lambda: load(evaluate, "run=one"))
    assert [line.split(":")[0] for line in lines] == ["runs/one/config.yaml"] * 2
    assert "tokenizer._target_: 'os.system' is not allowed" in lines[0]
    assert "encoder.layers: expected a whole number, got 'x'" in lines[1]


def test_translate_takes_files_and_searches(translate: Script, run: TrainSettings) -> None:
    own, found = load(translate, "run=one", "input=007", "search.length_penalty=0")  # type: ignore[misc]
    assert (own.input, own.output, own.changed) == ("007", None, {"search.length_penalty": 0.0})
    assert found.search.arguments["length_penalty"] == 0.0
    (line,) = mistakes(lambda: load(translate, "run=one", "encoder=gru"))
    assert line.startswith("encoder=gru: translate has no choice")


def test_stored_configuration_is_read_back_unchanged(run: TrainSettings) -> None:
    stored = read_config(Path("runs/one/config.yaml"))
    assert (stored.pop("choices"), tuple(stored.pop("command"))) == (run.choices, run.command)
    assert stored.pop("preset") == run.preset
    assert stored == run.plain


@pytest.mark.parametrize(
    "text",
    ["${seed} ", "${oc.env:HOME}", "\\${seed}", "\\\\${a}\\", "${", "${${seed}}", "$ {x}", "a'b\"${nope}", "\\"],
)
def test_stored_values_are_never_interpolated(evaluate: Script, run: TrainSettings, text: str) -> None:
    stored = read_config(Path("runs/one/config.yaml"))
    stored["data"]["files"]["test"]["source"] = stored["init_from"] = text
    write_yaml(stored, Path("runs/one/config.yaml"))
    _, found = load(evaluate, "run=one", "search.beam_size=3")
    assert (found.init_from, found.data.arguments["files"]["test"]["source"]) == (text, text)
    assert found.search.arguments["beam_size"] == 3


def test_given_values_may_interpolate_stored_keys(evaluate: Script, run: TrainSettings) -> None:
    assert load(evaluate, "run=one", "search.beam_size=${seed}")[1].search.arguments["beam_size"] == run.seed


def test_paths_expand_as_a_shell_would(
    evaluate: Script, folder: Path, run: TrainSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CORPORA", "/there")
    (tmp_path / "runs").rename(tmp_path / "elsewhere")

    def read(*words: str) -> TrainSettings:
        script = Script("train", TrainSettings, run=print, folder=folder)
        return load_train(check(script, words)[1], targets=TARGETS)

    found = read("data=corpus", "data_root=~/corpora", "run=$HOME/runs/x", "embedding.source_vectors=$CORPORA/v.gz")
    assert found.data.arguments["files"]["train"]["source"] == f"{tmp_path}/corpora/a"
    assert (found.run, found.embedding.source_vectors) == (f"{tmp_path}/runs/x", "/there/v.gz")
    assert read("freeze=[$HOME]").freeze == ["$HOME"]  # not a path
    assert read("data_root=$NOTHING/x").data_root == "$NOTHING/x"
    own, settings = load(evaluate, "run=~/elsewhere/one", "baseline=$HOME/elsewhere/two")
    assert (own.run, own.baseline) == (f"{tmp_path}/elsewhere/one", f"{tmp_path}/elsewhere/two")
    assert settings.run == f"{tmp_path}/elsewhere/one"


@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        (["trainer.max_updates=1e4"], "trainer.max_updates", 10000),
        (["trainer.max_updates=1_000"], "trainer.max_updates", 1000),
        (["device=cuda:1"], "device", "cuda:1"),
        (["seed=5", "seed=5"], "seed", 5),
        (["data.files={train: {source: x}, extra: {source: [y]}}"], "data.files.extra", {"source": ["y"]}),
    ],
)
def test_values_as_typed_in_a_shell(folder: Path, words: list[str], key: str, value: object) -> None:
    script = Script("train", TrainSettings, run=print, folder=folder, targets=TARGETS)
    found: Any = load_train(check(script, words)[1], targets=TARGETS).plain
    for name in key.split("."):
        found = found[name]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("device=gpu", "expected auto, cpu, cuda or one of several (cuda:1), got 'gpu'; did you mean cuda?"),
        ("device=cuda:x", "expected auto, cpu, cuda or one of several (cuda:1), got 'cuda:x'; did you mean cuda?"),
        ("precision=half", "expected one of auto, fp32, bf16, fp16, int8, got 'half'; did you mean fp16?"),
        ("trainer.max_minutes=nan", "expected a finite number, got nan"),
        ("trainer.clip_norm=inf", "expected a finite number, got inf"),
        ("seed=9223372036854775808", "expected a whole number of at most 64 bits, got 9223372036854775808"),
        ("seed=-1", "expected 0 or more, got -1"),
        ("run=a\x1bb", "expected a name (runs/NAME) or a path with a slash, got 'a\\x1bb'"),
        ("run=a\0b", "text cannot contain the character NUL, got 'a\\x00b'"),
        ("run=\udce9", "expected a name (runs/NAME) or a path with a slash, got '\\udce9'"),
        ("init_from=a\nb", "expected a run's name or a path with a slash, got 'a\\nb'"),
        ("encoder=glob(*)", "there is no encoder 'glob(*)'. Choices: gru, lstm"),
    ],
)  # fmt: skip
def test_wrong_values_are_reported_in_one_line(train: Script, word: str, line: str) -> None:
    def read() -> None:
        train.load(check(train, [word])[1])

    (found,) = mistakes(read)
    assert found == f"{word}: {line}".replace("\n", "\\n")


def test_key_given_twice_is_refused_unless_the_values_are_equal(train: Script) -> None:
    with pytest.raises(Mistakes) as caught:
        check(train, ["seed=1", "run=a", "seed=2", "run=a"])
    assert caught.value.lines == ("seed=2: seed was given before (seed=1); give it once",)


@pytest.mark.parametrize("encoder", ["${decoder}", "{_target_: seq2seq.decoder.rnn.RnnDecoder}"])
def test_a_part_of_another_kind_is_refused(repository: Path, encoder: str) -> None:
    composed = compose(repository / "configs", "train", [])
    given = f"encoder: {encoder}" if encoder.startswith("{") else f"encoder: '{encoder}'"
    whole = cast(DictConfig, OmegaConf.merge(composed.config, {"encoder": None}, OmegaConf.create(given)))
    with pytest.raises(Mistakes) as caught:
        load_train(replace(composed, config=whole))
    assert "seq2seq.decoder.rnn.RnnDecoder cannot serve as encoder (a class that derives" in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "chosen", "names"),
    [
        ([], "[jsonl,tensorboard]", ["jsonl", "tensorboard"]),
        (["logger=jsonl"], "jsonl", ["jsonl"]),
        (["logger=[tensorboard]"], "tensorboard", ["tensorboard"]),
        (["logger=[tensorboard,jsonl]"], "[tensorboard,jsonl]", ["tensorboard", "jsonl"]),
    ],
)
def test_several_loggers_are_one_choice(
    settings: Callable[..., TrainSettings], typed: list[str], chosen: str, names: list[str]
) -> None:
    found = settings(*typed)
    assert found.choices["logger"] == chosen
    assert list(found.logger) == names


def test_mistake_in_the_file_of_a_logger_is_reported_with_its_line(folder: Path) -> None:
    with (folder / "logger/tensorboard.yaml").open("a") as file:
        file.write("  port: 1\n")
    with pytest.raises(Mistakes, match=r"tensorboard\.yaml:3: logger\.tensorboard\.port: no such key"):
        load_train(compose(folder, "train"), targets=Targets(packages=("sample_parts",), kinds={}))
