"""Links between words become distributions over pieces, for every segmentation; wrong lines are named."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import SMALL, same, weights

from seq2seq.analysis.attention.alignment_words import segment
from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.config.schema import TrainSettings
from seq2seq.data.batches import collate
from seq2seq.data.prepare import Prepared, prepare
from seq2seq.data.stored import SIDES
from seq2seq.errors import DataError
from seq2seq.logger.jsonl import read_metrics
from seq2seq.model.builder import build_model
from seq2seq.objective.attention_terms import alignment_loss
from seq2seq.objective.cross_entropy import CrossEntropy
from seq2seq.objective.links import Links
from seq2seq.training.run import train
from seq2seq.types import Weights

SOURCES = ["ein  kleines Haus", "zwei\u00a0alte Häuser .", "", "drei Bäume am Ufer des Flusses", "Ω 漢字 x"]
TARGETS = ["a small house", "two old houses .", "nothing", "three trees on the river bank", "Ω 漢字 y"]
LINKS = ["0-0 1-1 2-2", "0-0 1-1 2-2 3-3", "", "0-0 1-1 2-2 3-5 5-4 4-3 5-3", "0-0 1-1"]
WORDS = [word for word in SMALL if not word.startswith("data.")]
WORDS += ["data=files", *(f"data.{split}.{side}={side}.txt" for split in ("train", "valid") for side in SIDES)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, lines in {"source": SOURCES, "target": TARGETS, "links": LINKS}.items():
        Path(f"{name}.txt").write_text("".join(f"{line}\n" for line in lines * 8), encoding="utf-8")
    return tmp_path


def settings(run: str, *words: str) -> TrainSettings:
    """Settings of a small run on the files; of a key given twice the last value counts."""
    last = {word.split("=")[0]: word for word in (*WORDS, *words, f"run={run}")}
    return load_train(compose(CONFIGS, "train", list(last.values())))


def prepared(*words: str) -> Prepared:
    given = settings("r", "tokenizer.vocab_size=auto", "tokenizer.joint=false", *words)
    parts = {"data": given.data(), "tokenizer": given.tokenizer(), "length": given.length}
    return prepare(**parts, seed=1, cache=Path("cache"), trained=None, run=Path("runs/r"))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("prefix", "begin"), [("", ""), ("to English: ", ""), ("de:", ""), ("de: ", "in English: ")])
def test_each_piece_gets_the_pieces_of_the_words_linked_to_its_word(prefix: str, begin: str) -> None:
    data = prepared(f"data.source_prefix='{prefix}'", f"data.target_prefix='{begin}'")
    corpus, tokenizer = data.corpora["train"], data.tokenizer
    links = Links(Path("links.txt"), corpus, tokenizer)
    batch = collate(corpus, np.arange(4))  # the third line is empty on one side and was dropped
    found = links(batch)
    for row, line in enumerate([0, 1, 3, 4]):
        (source,) = segment(tokenizer.source, [prefix + SOURCES[line]], 99)
        (target,) = segment(tokenizer.target, [TARGETS[line]], 99)
        expected = torch.zeros(found.shape[1:])
        for link in LINKS[line].split():
            s, t = map(int, link.split("-"))
            for piece in target.pieces[t]:
                expected[len(corpus.target_start) + piece, source.pieces[s + prefix.count(" ")]] = 1.0
        expected /= expected.sum(-1, keepdim=True).clamp(min=1)
        assert torch.equal(found[row], expected), SOURCES[line]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("shift", [False, True])
@torch.no_grad()
def test_the_objective_reads_the_weights_of_the_step_that_predicts_or_reads_a_piece(*, shift: bool) -> None:
    data = prepared()
    corpus, vocabularies = data.corpora["train"], (data.tokenizer.source.size, data.tokenizer.target.size)
    model = build_model(settings("r"), source_vocab=vocabularies[0], target_vocab=vocabularies[1]).eval()
    objective = CrossEntropy(
        label_smoothing=0.0, attention_penalty=0.0, alignment=2.0, links="links.txt", alignment_shift=shift
    )
    objective.prepare(corpus, data.tokenizer)
    batch = collate(corpus, np.arange(4))
    memory = model.encode(batch.source, batch.source_mask)
    weights = model.decode(batch.target_in, memory, Weights.LAST).weights
    wanted = Links(Path("links.txt"), corpus, data.tokenizer)(batch)
    if shift:
        weights, wanted = weights[:, 1:], wanted[:, :-1]
    expected = 2 * alignment_loss(weights, wanted).item()
    assert objective(model, batch).terms["alignment"].item() == pytest.approx(expected, rel=1e-5)


def test_the_loss_is_the_cross_entropy_of_linked_pieces() -> None:
    weights, wanted = torch.rand(1, 3, 4).softmax(-1), torch.zeros(1, 3, 4)
    wanted[0, 0, [1, 2]], wanted[0, 2, 3] = 0.5, 1.0
    expected = -(weights[0, 0, 1].log() + weights[0, 0, 2].log()) / 2 - weights[0, 2, 3].log()
    assert alignment_loss(weights, wanted).item() == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0-0\n", r"links.txt has 1 lines but there are 40 pairs; each needs one, which may be empty"),
        ("0-0\n1:1\n", r"links.txt, line 2: expected links of words counted from 0, as in 0-0 2-1, found '1:1'"),
        ("0-0\n1-1 2\n", r"line 2: expected links"),
        ("-1-0\n", r"line 1: expected links"),
        ("9999999-0\n", r"line 1: expected links"),
        ("0-0\n1-5 0-0\n" * 3, r"links.txt, line 2: link 1-5 is outside of 4 source and 4 target words \(10 of"),
    ],
)
def test_a_wrong_file_is_reported_with_its_line(text: str, message: str) -> None:
    data = prepared()
    rest = "" if "has" in message else "0-0\n" * (40 - text.count("\n"))
    Path("links.txt").write_text(text + rest, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        Links(Path("links.txt"), data.corpora["train"], data.tokenizer)


@pytest.mark.usefixtures("folder")
def test_a_few_links_outside_their_sentences_are_not_used(caplog: pytest.LogCaptureFixture) -> None:
    data = prepared()
    batch = collate(data.corpora["train"], np.arange(4))
    before = Links(Path("links.txt"), data.corpora["train"], data.tokenizer)(batch)
    lines = Path("links.txt").read_text(encoding="utf-8").splitlines()
    Path("links.txt").write_text("\n".join([f"{lines[0]} 30000-2", *lines[1:]]) + "\n", encoding="utf-8")
    after = Links(Path("links.txt"), data.corpora["train"], data.tokenizer)(batch)
    assert torch.equal(before, after)
    assert "line 1: link 30000-2 is outside of 3 source and 3 target words (1 of 129 links" in caplog.text


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_attention_learns_the_links_with_sampled_segmentation_and_continues_bitwise() -> None:
    words = ["tokenizer=bpe", "tokenizer.vocab_size=310", "tokenizer.sampling=0.1", "trainer.tokens_per_update=60"]
    words += ["objective.alignment=1.0", "objective.links=links.txt", "optimizer.lr=1e-2", "trainer.save_every=20"]
    for run, stops in {"whole": [40], "resumed": [20, 40]}.items():
        for stop in stops:
            train(settings(run, *words, f"trainer.max_updates={stop}", "trainer.validate_every=20"))
    assert same(weights("whole", 40), weights("resumed", 40))
    rows = [
        row["train/alignment"] for row in read_metrics(Path("runs/whole/metrics.jsonl")) if "train/alignment" in row
    ]
    assert rows[-1] < 0.9 * rows[0]
