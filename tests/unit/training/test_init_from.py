"""A run starts from another's weights and tokenizer, and is then independent of it."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_runs import same, settings, weights

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.read import load
from seq2seq.checkpoint.weights import model_tensors
from seq2seq.config.problems import Mistakes
from seq2seq.config.schema import TrainSettings
from seq2seq.config.stored_run import stored_config
from seq2seq.errors import CheckpointError, ConfigError
from seq2seq.inference.trained_model import load_trained
from seq2seq.model.builder import build_model
from seq2seq.training.init_from import read_init_from
from seq2seq.training.preflight import check
from seq2seq.training.run import train

ADDITIVE = ("attention=bahdanau", "attention.attn_dim=8", "decoder.attend=before")
FRENCH = ("data.target_language=fr", "data.train=200", "optimizer.lr=0.002")

pytestmark = pytest.mark.usefixtures("in_its_own_folder")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run; a test that deletes it uses a copy."""
    place = tmp_path_factory.mktemp("source")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        train(settings("base", *ADDITIVE, "trainer.max_updates=8"))
    return place / "runs" / "base"


def tuned(base: Path, *words: str) -> TrainSettings:
    """Settings of a run that starts from `base`, with French instead of German."""
    return settings("tuned", f"init_from={base}", *ADDITIVE, *FRENCH, *words)


def started(given: TrainSettings) -> dict[str, torch.Tensor]:
    """The initial weights of such a run."""
    torch.manual_seed(given.seed)
    model = build_model(given, source_vocab=600, target_vocab=600)
    init_from = read_init_from(given)
    assert init_from is not None
    init_from.start(model)
    return model_tensors(model)


def test_a_run_starts_from_the_given_checkpoint(base: Path) -> None:
    for checkpoint in ("best", "last", "step-4", "average", "average-best"):
        given = load(RunFolder(base), checkpoint, ["model"]).model
        assert same(started(replace(tuned(base), init_checkpoint=checkpoint)), given), checkpoint


def test_parameters_of_init_fresh_start_at_random(base: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As without the other run, whether or not their shape is the same there."""
    caplog.set_level("INFO")
    words = (
        "generator.bias=false",
        "attention.attn_dim=4",
        "init_fresh=[generator.output.bias,'*.attention','encoder.back*']",
    )
    found = started(tuned(base, *words))
    assert "starts from the weights and the tokenizer of run " in caplog.text
    given = load(RunFolder(base), "best", ["model"]).model
    torch.manual_seed(1)
    random = model_tensors(build_model(tuned(base, *words), source_vocab=600, target_vocab=600))
    fresh = {name for name in found if ".attention." in name or name.startswith("encoder.backwards.")}
    assert caplog.text.rstrip().endswith(f"at random: {', '.join(sorted(fresh))}")
    assert len(fresh) > 4
    assert all(torch.equal(found[name], (random if name in fresh else given)[name]) for name in found)


@pytest.mark.usefixtures("without_shape_checks")
def test_fine_tuning_resumes_bitwise_without_the_other_run(base: Path) -> None:
    shutil.copytree(base, "runs/source", symlinks=True)
    source, words = Path("source"), ("freeze=[encoder]", "encoder.dropout=0.3")
    train(tuned(source, *words, "trainer.max_updates=8"))
    Path("runs/tuned").rename("runs/whole")
    train(tuned(source, *words, "trainer.max_updates=4"))
    model = Path("runs/source/tokenizer/joint.model").read_bytes()
    assert Path("runs/tuned/tokenizer/joint.model").read_bytes() == model
    shutil.rmtree("runs/source")
    train(tuned(source, *words, "trainer.max_updates=8"))
    assert same(weights("whole", 8), weights("tuned", 8))

    given, after = load(RunFolder(base), "best", ["model"]).model, weights("tuned", 8)
    unchanged = {name for name in given if torch.equal(given[name], after[name])}
    assert unchanged == {name for name in given if name.startswith("encoder.")}
    answers = load_trained("tuned", tuned(source, *words), "last")
    assert same(model_tensors(answers.model), {name: after[name] for name in given})
    with pytest.raises(ConfigError, match="init_from: 'source' -> null"):
        train(settings("tuned", *ADDITIVE, *FRENCH, *words))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["init_checkpoint=step-5"], "run base has no checkpoint=step-5: did you mean step-"),
        (["tokenizer=bpe", "tokenizer.vocab_size=500", "tokenizer.sampling=0.1"],
         "its tokenizer is reused, and it was trained with other settings than these. Give the same: "
         "tokenizer.model_type=unigram tokenizer.vocab_size=600"),
        (["attention.attn_dim=4", "encoder.dropout=0.5"],
         "its weights do not fit this model:\n"
         "  decoder.attention.query_map.weight: [8, 12] in run base, [4, 12] here\n"
         "  decoder.attention.key_map.weight: [8, 16] in run base, [4, 16] here\n"
         "  decoder.attention.key_map.bias: [8] in run base, [4] here\n"
         "  decoder.attention.v.weight: [1, 8] in run base, [1, 4] here\n"
         "Give this run the settings of that one (attention.attn_dim=8), or initialise what does not fit at random: "
         "init_fresh=[NAME,...]"),
        (["tie=none", "encoder=gru"], "(tie=target encoder.cell=lstm), or initialise"),
        (["tie=none"], "generator.output.weight: not in run base"),
        (["generator.bias=false"], "generator.output.bias: in run base alone"),
        (["attention=luong_concat", "decoder.attend=after", "decoder.dropout=0.4"],
         "(attention=bahdanau decoder.attend=before), or initialise"),
        (["init_fresh=[generater]"],
         "init_fresh: no parameter or module is called 'generater'; did you mean generator?"),
    ],
)  # fmt: skip
def test_a_mismatch_is_reported_with_what_to_change(base: Path, words: list[str], message: str) -> None:
    with pytest.raises((ConfigError, CheckpointError)) as caught:
        train(tuned(base, *words))
    assert message in str(caught.value)
    assert str(caught.value).startswith(("init_fresh: ", f"init_from={base}: "))
    assert not Path("runs/tuned").exists()  # the corrected command starts a new run


def test_many_mismatches_are_shortened(base: Path) -> None:
    with pytest.raises(ConfigError, match=r"\n  \.\.\. and \d+ more\n"):
        train(tuned(base, "embedding.size=6"))


def test_a_missing_run_is_reported(base: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        train(tuned(base.with_name("bas")))
    place = base.with_name("bas")
    message = f"init_from={place}: there is no {place}/config.yaml; did you mean base? Runs in {base.parent}: base"
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["init_from=a", "init_fresh=[generator]", "init_checkpoint=last"], []),
        (["init_fresh=[generator]", "init_checkpoint=last"], [
            "init_fresh applies to init_from, which names no run",
            "init_checkpoint applies to init_from, which names no run",
        ]),
        (["init_from=a", "embedding.source_vectors=b"],
         ["embedding.source_vectors and init_from cannot both be given: the embeddings come from that run"]),
    ],
)  # fmt: skip
def test_keys_that_do_not_fit_together_are_reported(words: list[str], lines: list[str]) -> None:
    assert check(settings("x", *words)) == lines


@pytest.mark.parametrize(
    ("word", "line"),
    [
        (
            "init_checkpoint=step5",
            "init_checkpoint=step5: expected best, last, average, average-best, ema or step-N, got 'step5'",
        ),
        ("init_from=.", "init_from=.: expected a run's name or a path with a slash, got '.'"),
        ("freeze=encoder", "freeze=encoder: expected a list, each item text, got 'encoder'"),
    ],
)
def test_wrong_values_are_reported(word: str, line: str) -> None:
    with pytest.raises(Mistakes) as caught:
        settings("x", word)
    assert caught.value.lines == (line,)


def test_a_run_older_than_these_keys_reads_as_one_without_them(base: Path) -> None:
    shutil.copytree(base, "runs/old", symlinks=True)
    config = Path("runs/old/config.yaml")
    new = ("# SHA-256", "init_", "freeze:", "  source_vectors:", "  target_vectors:")
    config.write_text("".join(f"{line}\n" for line in config.read_text().split("\n")[:-1] if not line.startswith(new)))
    assert "init_from" not in config.read_text()
    assert stored_config("old") == stored_config(str(base))
    train(settings("old", *ADDITIVE, "trainer.max_updates=9"))
    assert Path("runs/old/checkpoints/step-9").is_dir()
