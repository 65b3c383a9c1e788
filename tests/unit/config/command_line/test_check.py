"""The whole command line: what Hydra is given, and one line for each mistake."""

from collections.abc import Callable
from pathlib import Path

import pytest

from seq2seq.config.command_line.check import check
from seq2seq.config.command_line.script import Script
from seq2seq.config.composition import compose
from seq2seq.config.problems import Mistakes


def lines(script: Script, *words: str) -> list[str]:
    with pytest.raises(Mistakes) as caught:
        check(script, words)
    assert str(caught.value).split("\n  ")[1:] == list(caught.value.lines)
    assert caught.value.exit_code == 2
    return list(caught.value.lines)


@pytest.mark.parametrize(
    ("typed", "given"),
    [
        ("run=7", "run='7'"),
        ("run=1e3", "run='1e3'"),
        ("run=007", "run='007'"),
        ("run=null", "run='null'"),
        ("run=a=b", "run='a=b'"),
        ("run='a b'", "run='a b'"),
        ("data_root=~/my corpora #2 (old)", "data_root='~/my corpora #2 (old)'"),
        ("data.files.train.source=/tmp/a=b,c", "data.files.train.source='/tmp/a=b,c'"),
        ("data.files.train.source=[a,b]", "data.files.train.source=[a,b]"),
        ("data.locale=null", "data.locale=null"),
        ("data.locale=7", "data.locale='7'"),
        ("seed=7", "seed=7"),
        ("encoder=gru", "encoder=gru"),
        ("logger=jsonl", "logger=jsonl"),
        ("logger=[jsonl, tensorboard]", "logger=[jsonl, tensorboard]"),
        ("optimizer.lr=1e-4", "optimizer.lr=1e-4"),
        ("optimizer.amsgrad=true", "++optimizer.amsgrad=true"),
        ("data.files.extra.source=x", "++data.files.extra.source='x'"),
        ("~metrics.bleu", "~metrics.bleu"),
        ("hydra.verbose=true", "hydra.verbose=true"),
    ],
)
def test_valid_words_reach_hydra_with_the_same_meaning(train: Script, typed: str, given: str) -> None:
    assert check(train, [typed])[0] == [given]


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("sead=3", "sead=3: no such key; did you mean seed?"),
        ("hidden_size=3", "hidden_size=3: no such key; did you mean encoder.hidden_size?"),
        ("encoder.hiden_size=3", "encoder.hiden_size=3: no such key; did you mean hidden_size? "
         "encoder=lstm takes: bias, hidden_size, layers, mode"),
        ("embedding.sise=3", "embedding.sise=3: no such key; did you mean size? "
         "embedding takes: dropout, norm, scale, size, source_vectors, target_vectors, word_dropout"),
        ("encodr=lstm", "encodr=lstm: no such key; did you mean encoder?"),
        ("zzz=1", "zzz=1: no such key. Keys: adapter, attention, cache_dir, data, data_root, decoder, device, "
         "embedding, encoder, experiment, extensions, feed_forward, freeze, generator, init_checkpoint, init_fresh, "
         "init_from, layer_norm, length, logger, metrics, normalizer, objective, optimizer, pooling, position, "
         "precision, preset, replay, run, schedule, search, seed, self_attention, teacher, tie, tokenizer, trainer"),
        ("attention=bahdnau", "attention=bahdnau: there is no attention 'bahdnau'; did you mean bahdanau? "
         "Choices: bahdanau, luong_dot"),
        ("attention=null", "attention=null: there is no attention 'null'. Choices: bahdanau, luong_dot"),
        ("attention=", "attention=: there is no attention ''. Choices: bahdanau, luong_dot"),
        ("encoder=gru,lstm", "encoder=gru,lstm: several choices need --multirun (-m)"),
        ("encoder=[gru,lstm]", "encoder=[gru,lstm]: there is no encoder '[gru,lstm]'. Choices: gru, lstm"),
        ("logger=[jsonl,tensorbord]", "logger=[jsonl,tensorbord]: there is no logger 'tensorbord'; did you mean "
         "tensorboard? Choices: jsonl, tensorboard"),
        ("logger=[]", "logger=[]: there is no logger '[]'. Choices: jsonl, tensorboard"),
        ("logger=jsonl,tensorboard", "logger=jsonl,tensorboard: several choices need --multirun (-m); for all of them "
         "in one run: logger=[jsonl,tensorboard]"),
        ("logger.tensorboard.x=1", "logger.tensorboard.x=1: no such key. logger.tensorboard takes: nothing"),
        ("experiment=tiny/mien", "experiment=tiny/mien: there is no experiment 'tiny/mien'. Choices: nothing"),
        ("+x=1", "+x=1: write keys without +; only existing keys can be set"),
        ("+encoder=gru", "+encoder=gru: write keys without +; only existing keys can be set"),
        ("~encoder", "~encoder: keys cannot be removed (only a metric can: ~metrics.NAME)"),
        ("++seed=1", "++seed=1: write keys without ++; only existing keys can be set"),
        ("~seed", "~seed: keys cannot be removed (only a metric can: ~metrics.NAME)"),
        ("~metrics.blue", "~metrics.blue: no such key; did you mean bleu? metrics=translation takes: bleu"),
        ("seed", "seed: expected KEY=VALUE"),
        ("encoder", "encoder: expected KEY=VALUE"),
        ("encodr", "encodr: expected KEY=VALUE; did you mean encoder?"),
        ("=3", "=3: expected KEY=VALUE"),
        ("a b=3", "a b=3: expected KEY=VALUE"),
        ("seed=1,2", "seed=1,2: several values need --multirun (-m). As one text: \"seed='1,2'\"; "
         "as a list: 'seed=[1,2]'"),
        ("encoder.layers=2=3", "encoder.layers=2=3: cannot be read; encoder.layers takes a whole number. "
         "As text: \"encoder.layers='2=3'\""),
        ("tie=f(x) #", "tie=f(x) #: cannot be read; tie takes one of none, target, all. As text: \"tie='f(x) #'\""),
        ("optimizer.betas=[a=b]", "optimizer.betas=[a=b]: cannot be read; optimizer.betas takes a list: "
         "[a number, a number]. Texts in it need quotes: 'a=b'"),
        ("hydra.verbose=[", "hydra.verbose=[: Hydra cannot read it"),
    ],
)  # fmt: skip
def test_each_wrong_word_gets_a_line(train: Script, typed: str, line: str) -> None:
    assert lines(train, typed) == [line]


@pytest.mark.parametrize(
    ("typed", "given", "line"),
    [
        ("seed=x", "seed=x", "seed=x: expected a whole number, got 'x'"),
        ("encoder.input_dim=3", "++encoder.input_dim=3", "encoder.input_dim=3: the builder supplies it; take it out"),
    ],
)
def test_wrong_values_are_reported_when_the_settings_are_loaded(
    train: Script, typed: str, given: str, line: str
) -> None:
    ready, composed = check(train, [typed])
    assert ready == [given]
    with pytest.raises(Mistakes) as caught:
        train.load(composed)
    assert caught.value.lines == (line,)


def test_all_mistakes_are_reported_at_once(train: Script, folder: Path) -> None:
    encoder = folder / "encoder/lstm.yaml"
    encoder.write_text(encoder.read_text().replace("bias", "bais"))
    assert lines(train, "sead=3", "tie=x", "+y=1", "search.beam_size=0", "trainer.max_updates=many") == [
        "+y=1: write keys without +; only existing keys can be set",
        "sead=3: no such key; did you mean seed?",
        "tie=x: expected one of none, target, all, got 'x'",
        "trainer.max_updates=many: expected a whole number or auto or null, got 'many'",
        "configs/encoder/lstm.yaml:5: encoder.bais: no such key; did you mean bias? "
        "encoder=lstm takes: bias, hidden_size, layers, mode",
        "search.beam_size=0: expected 1 or more, got 0",
    ]


def test_keys_of_a_refused_choice_are_not_reported(train: Script) -> None:
    found = lines(train, "attention=luong_dott", "attention.attn_dim=x", "seed=x")
    assert [line.split(":")[0] for line in found] == ["attention=luong_dott", "seed=x"]


def test_key_of_another_choice_is_a_mistake(train: Script) -> None:
    assert lines(train, "attention=luong_dot", "attention.attn_dim=64") == [
        "attention.attn_dim=64: no such key. attention=luong_dot takes: dropout"
    ]


def test_a_group_is_chosen_once(train: Script) -> None:
    assert lines(train, "encoder=gru", "encoder=lstm") == [
        "encoder=lstm: encoder was given before (encoder=gru); give it once"
    ]
    assert check(train, ["encoder=gru", "encoder=gru"])[0] == ["encoder=gru"]


def test_broken_yaml_file_is_reported_with_its_line(train: Script, folder: Path) -> None:
    (folder / "encoder/lstm.yaml").write_text("_target_: [sample_parts.Recurrent\nlayers: 1\n")
    assert lines(train, "+x=1") == [
        "+x=1: write keys without +; only existing keys can be set",
        "configs/encoder/lstm.yaml: line 2, column 7: expected ',' or ']', but got ':'",
    ]


VALID = "# @package _global_\ndefaults:\n  - override /attention: luong_dot\nseed: 7\nattention:\n  dropout: 0.3\n"


def test_experiment_overrides_parts_and_command_line_overrides_experiment(
    train: Script, experiment: Callable[[str], None], settings: Callable
) -> None:
    experiment(VALID)
    found = train.load(check(train, ["experiment=tiny/mine"])[1])
    assert (found.attention.name, found.seed, found.attention.arguments) == ("luong_dot", 7, {"dropout": 0.3})
    found = train.load(check(train, ["seed=8", "experiment=tiny/mine", "attention.dropout=0"])[1])
    assert (found.seed, found.attention.arguments) == (8, {"dropout": 0.0})
    found = train.load(check(train, ["experiment=tiny/mine", "attention=bahdanau"])[1])
    assert found.attention.arguments == {"dropout": 0.3, "attn_dim": 256}


def test_null_means_no_experiment(train: Script) -> None:
    assert check(train, ["experiment=null"])[0] == []


def test_a_mistyped_experiment_is_a_mistake(train: Script, experiment: Callable[[str], None]) -> None:
    experiment(VALID)
    assert lines(train, "experiment=tiny/mien") == [
        "experiment=tiny/mien: there is no experiment 'tiny/mien'; did you mean tiny/mine? Choices: tiny/mine"
    ]


def test_every_mistake_in_an_experiment_is_reported(train: Script, experiment: Callable[[str], None]) -> None:
    experiment(
        "defaults:\n  - override /encodr: gru\n  - override /attention: luong_dt\n  - /decoder: lstm\n  - nonsense\n"
        "sead: 7\nattention:\n  attn_dim: 5\ntrainer:\n  max_updates: many\n"
    )
    file = "configs/experiment/tiny/mine.yaml"
    found = lines(train, "experiment=tiny/mine", "tie=x")
    assert [line.replace(file, "FILE") for line in found[:5]] == [
        "FILE:1: the first line must be '# @package _global_'",
        "FILE:2: there is no group 'encodr'; did you mean encoder? Groups: adapter, attention, data, decoder, encoder, "
        "experiment, feed_forward, generator, layer_norm, logger, metrics, normalizer, objective, optimizer, pooling, "
        "position, preset, schedule, search, self_attention, tokenizer, trainer",
        "FILE:3: there is no attention 'luong_dt'; did you mean luong_dot? Choices: bahdanau, luong_dot",
        "FILE:4: write 'override /decoder: lstm', not '/decoder: lstm'",
        "FILE:5: expected 'override /GROUP: CHOICE', got 'nonsense'",
    ]
    assert [line.replace(file, "FILE")[:52] for line in found[5:]] == [
        "FILE:6: sead: no such key; did you mean seed? Keys: ",
        "tie=x: expected one of none, target, all, got 'x'",
        "FILE:10: trainer.max_updates: expected a whole numbe",
    ]


@pytest.mark.parametrize(
    ("chosen", "line"),
    [
        ("[tensorbord]", "there is no logger 'tensorbord'; did you mean tensorboard? Choices: jsonl, tensorboard"),
        ("[]", "expected the name of one logger, got []"),
        ("[[jsonl]]", "defaults: expected 'GROUP: CHOICE', got {'override /logger': [['jsonl']]}"),
    ],
)
def test_wrong_loggers_of_an_experiment_are_reported(
    train: Script, experiment: Callable[[str], None], chosen: str, line: str
) -> None:
    experiment(f"# @package _global_\ndefaults:\n  - override /logger: {chosen}\n")
    assert lines(train, "experiment=tiny/mine") == [f"configs/experiment/tiny/mine.yaml:3: {line}"]


def test_an_experiment_may_choose_several_loggers(train: Script, experiment: Callable[[str], None]) -> None:
    experiment("# @package _global_\ndefaults:\n  - override /logger: [jsonl, tensorboard]\n")
    ready, composed = check(train, ["experiment=tiny/mine"])
    assert ready == ["experiment=tiny/mine"]
    assert [*train.load(composed).logger] == ["jsonl", "tensorboard"]


def test_broken_file_of_several_is_reported(train: Script, folder: Path) -> None:
    (folder / "logger/jsonl.yaml").write_text("jsonl: [\n")
    (found,) = lines(train, "logger=[tensorboard,jsonl]")
    assert found.startswith("configs/logger/jsonl.yaml: line 2")
    assert check(train, ["logger=tensorboard"])[0] == ["logger=tensorboard"]


def test_unused_key_in_an_experiment_is_a_mistake_with_its_line(
    train: Script, experiment: Callable[[str], None], settings: Callable
) -> None:
    experiment("# @package _global_\nattention:\n  attn_dim: 5\n")
    assert train.load(check(train, ["experiment=tiny/mine"])[1]).attention.arguments["attn_dim"] == 5
    with pytest.raises(Mistakes) as caught:
        train.load(check(train, ["experiment=tiny/mine", "attention=luong_dot"])[1])
    assert caught.value.lines == (
        "configs/experiment/tiny/mine.yaml:3: attention.attn_dim: no such key. attention=luong_dot takes: dropout",
    )


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["encoder=gru", "seed=2", "run=1e3"],
        ["~metrics.bleu", "data.files={train: {source: x}, extra: {source: y, target: z}}"],
        ["optimizer.amsgrad=true", "freeze=[a]", "data_root=$HOME/x", "optimizer.betas=[0.9,0.99]"],
        [
            "search.max_length=null",
            "trainer.max_minutes=2",
            "run='${seed}'",
            "encoder.hidden_size=${decoder.hidden_size}",
        ],
    ],
)
def test_composition_equals_that_of_hydra(train: Script, words: list[str]) -> None:
    ready, composed = check(train, words)
    assert composed == compose(train.folder, "train", ready)
