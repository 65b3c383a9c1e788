"""Word vectors replace only the rows of pieces that are whole words, and get the mean norm of those rows."""

import gzip
import re
from pathlib import Path

import pytest
import torch
from sample_text import sentences
from sample_text import settings as tokenizer_settings
from small_runs import same, settings, weights
from torch import nn

from seq2seq.errors import ConfigError, DataError
from seq2seq.layers.embedding import embedding_table
from seq2seq.model.builder import build_model
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.preflight import check
from seq2seq.training.run import train
from seq2seq.training.word_vectors import check_vectors, fill, fill_embeddings, read_vectors, words_of


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return tokenizer_settings(joint=False).train(sentences(200), sentences(200, seed=1))


def vectors_file(path: Path, words: list[str], width: int, first_line: str = "") -> Path:
    """A file of vectors; word n has the numbers n, n + 1, ... ."""
    rows = [f"{word} {' '.join(str(number + place) for place in range(width))}" for number, word in enumerate(words)]
    path.write_text("".join(f"{row}\n" for row in [*([first_line] if first_line else []), *rows]))
    return path


FORMATS = {
    "glove": "the 1 2\nof 3 -4.5e-1\n",
    "word2vec, with a header and spaces at the ends": "3 2\nthe 1 2 \nof 3 -0.45 \n",
    "windows": "the 1 2\r\nof 3 -0.45\r\n",
    "the first of two": "the 1 2\nof 3 -0.45\nthe 5 5\n",
    "words with spaces, and others": "the 1 2\nof the 7 7\nof 3 -0.45\nand not a number\n. . . 1 2\n",
    "other line breaks in words": "the 1 2\na\x85b 7 7\na\u2028of 3 3\nof\u00a0 3 3\nof 3 -0.45\n",
}


@pytest.mark.parametrize("content", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("packed", [False, True])
def test_the_wanted_words_are_read(tmp_path: Path, content: str, packed: bool) -> None:
    file = tmp_path / "vectors"
    file.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    assert read_vectors(file, {"the", "of", "missing"}, 2) == {"the": [1, 2], "of": [3, -0.45]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a 1 2\nthe 1\n", "vectors.txt, line 2: expected a word and 2 numbers, found 1. Correct the line."),
        ("the 1 x\n", "vectors.txt, line 1: could not convert string to float: 'x'; expected a word and 2 numbers"),
        ("2 2\nthe 1 nan\n", "vectors.txt, line 2: a number is not finite. Correct or remove the line."),
        ("a 1 2\nb\xff 1 2\n", "vectors.txt, line 2: byte 2 (0xff) is not UTF-8."),
    ],
)
def test_the_error_names_the_broken_line(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "vectors.txt"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=re.escape(message)):
        read_vectors(file, {"the"}, 2)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("the 1 2\n", ConfigError, "embedding.source_vectors: those of vectors.txt have 2 numbers, and embedding.size "
                                   "is 12: set embedding.size=2, or give other vectors"),
        ("9 3\nthe 1 2 3\n", ConfigError, "have 3 numbers, and embedding.size is 12"),
        ("", DataError, "vectors.txt contains no vectors; each line must be a word and its numbers"),
        ("9 3\n", DataError, "vectors.txt contains no vectors"),
        (None, DataError, "vectors.txt does not exist"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("in_its_own_folder")
def test_an_unusable_file_is_reported_before_the_data_is_read(content: str | None, error: type, message: str) -> None:
    if content is not None:
        Path("vectors.txt").write_text(content)
    with pytest.raises(error, match=re.escape(message)):
        train(settings("x", "embedding.source_vectors=vectors.txt"))
    assert not Path("runs/x").exists()  # the corrected command starts a new run


def test_target_vectors_for_a_shared_table_are_refused() -> None:
    words = ("tie=all", "embedding.source_vectors=a", "embedding.target_vectors=b")
    line = "embedding.target_vectors: with tie=all there is one table, which embedding.source_vectors fills"
    assert check(settings("x", *words)) == [line]
    assert check(settings("x", *words[:2])) == []


def test_the_words_of_pieces(tokenizer: Tokenizer) -> None:
    words = words_of(tokenizer.source)
    pieces = {index: tokenizer.source.processor.id_to_piece(index) for index in range(tokenizer.source.size)}
    assert all(index >= 4 and pieces[index] in (word, f"\u2581{word}") for index, word in words.items())
    left = {piece for index, piece in pieces.items() if index not in words}
    assert len(left) == 4 + 256 + 1
    assert {"<pad>", "<s>", "<0x41>", "\u2581"} <= left


def test_vectors_get_the_norm_of_the_rows_they_replace() -> None:
    torch.manual_seed(1)
    table = embedding_table(2000, 64)
    assert float(table.weight[4:].square().sum(1).mean()) == pytest.approx(1, abs=0.02)
    given = torch.randn(500, 64) * 7 + 1
    before, rows = table.weight.detach().clone(), list(range(10, 1010, 2))
    factor = fill(table, rows, given)
    assert float(table.weight[rows].square().sum(1).mean()) == pytest.approx(1, abs=1e-5)
    assert torch.allclose(table.weight[rows] / factor, given, rtol=1e-5)
    others = [row for row in range(2000) if row not in rows]
    assert torch.equal(table.weight[others], before[others])


def test_zeros_stay_zeros() -> None:
    table = nn.Embedding(6, 3)
    assert fill(table, [4], torch.zeros(1, 3)) == 1
    assert not table.weight[4].any()


@pytest.mark.parametrize("tie", ["none", "target"])
def test_each_side_has_its_own_vectors(
    tmp_path: Path, tokenizer: Tokenizer, tie: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    source, target = (words_of(getattr(tokenizer, side)) for side in ("source", "target"))
    word, other = (next(word for word in words.values() if len(word) > 2) for words in (source, target))
    one = vectors_file(tmp_path / "one.txt", ["unseen", word], 12)
    two = vectors_file(tmp_path / "two.txt", [other], 12, "1 12")
    given = settings(
        "x", f"tie={tie}", "tokenizer.joint=false", f"embedding.source_vectors={one}", f"embedding.target_vectors={two}"
    )
    check_vectors(given)
    model = build_model(given, source_vocab=tokenizer.source.size, target_vocab=tokenizer.target.size)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fill_embeddings(given, model, tokenizer)
    changed = {}
    for name, tensor in model.state_dict().items():
        if not torch.equal(tensor, before[name]):
            changed[name] = [int(row) for row in (tensor != before[name]).any(-1).nonzero()]
    rows = [[i for i, w in words.items() if w == wanted] for words, wanted in ((source, word), (target, other))]
    tables = ["encoder.embedding.table.weight", "decoder.embedding.table.weight"]
    assert changed == dict(zip(tables, rows, strict=True)) | (
        {"generator.output.weight": rows[1]} if tie == "target" else {}
    )
    table = model.state_dict()[tables[0]]
    expected = torch.arange(1.0, 13)
    assert torch.allclose(table[rows[0][0]], expected / expected.norm())
    share = f"{len(rows[0])} of {len(source)} pieces ({len(rows[0]) / len(source):.1%}) have one"
    assert f"source vectors of {one}, times {1 / float(expected.norm()):.3g}: {share}" in caplog.text


def test_vectors_of_another_language_are_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    file = vectors_file(tmp_path / "zh.txt", ["一", "二"], 12)
    given = settings("x", f"embedding.target_vectors={file}")
    model = build_model(given, source_vocab=tokenizer.source.size, target_vocab=tokenizer.target.size)
    message = f"embedding.target_vectors: {file} has a vector for none of the {len(words_of(tokenizer.target))} pieces"
    with pytest.raises(DataError, match=re.escape(message)):
        fill_embeddings(given, model, tokenizer)


@pytest.mark.usefixtures("in_its_own_folder")
def test_the_file_is_read_once_and_a_run_resumes_without_it() -> None:
    file = vectors_file(Path("vectors.txt"), ["January", "March", "and", "2024", "Monday"], 12)
    words = ("tie=all", f"embedding.source_vectors={file}")
    train(settings("whole", *words, "trainer.max_updates=8"))
    train(settings("parts", *words, "trainer.max_updates=4"))
    file.unlink()
    train(settings("parts", *words, "trainer.max_updates=8"))
    assert same(weights("whole", 8), weights("parts", 8))
    with pytest.raises(ConfigError, match=r"embedding.source_vectors: 'vectors.txt' -> null"):
        train(settings("parts", *words[::2]))
