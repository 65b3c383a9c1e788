"""A folder's vocabulary in our order: text is segmented as its own tokenizer does it."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from marian_folder import odd_texts, write_folder
from sentencepiece import SentencePieceProcessor

from seq2seq.errors import ConfigError
from seq2seq.huggingface.folder import ModelFolder
from seq2seq.huggingface.pieces import Side, specification
from seq2seq.huggingface.vocabulary import language_codes, read_sides
from seq2seq.tokenizer import Vocabulary
from seq2seq.tokenizer.draws import keys_of
from seq2seq.tokenizer.runs import RunSplitter
from seq2seq.tokenizer.sentencepiece import sampler_of
from seq2seq.types import BOS, EOS, PAD, UNK

TEXTS = odd_texts(300)


def folder_of(path: Path) -> ModelFolder:
    return ModelFolder(path, f"hf:{path}")


def rows_of(side: Side, texts: Sequence[str]) -> list[list[int]]:
    """The rows of the folder's embeddings that our ids of these texts have."""
    return [[side.rows[index] for index in ids] for ids in Vocabulary(side.model).encode(texts)]


def naive_rows(path: Path, side: str, vocab: str, texts: Sequence[str]) -> list[list[int]]:
    """As MarianTokenizer does it: pieces of the side's own model, looked up in the vocabulary."""
    known = json.loads((path / vocab).read_text())
    own = SentencePieceProcessor(model_file=str(path / f"{side}.spm"))
    return [[known.get(piece, known["<unk>"]) for piece in own.encode(text, out_type=str)] for text in texts]


@pytest.mark.parametrize("kind", ["unigram", "bpe", "char"])
@pytest.mark.parametrize("separate", [False, True])
def test_text_is_segmented_as_by_the_folders_tokenizer(tmp_path: Path, kind: str, separate: bool) -> None:
    write_folder(tmp_path, kind=kind, separate=separate)
    source, target = read_sides(folder_of(tmp_path))
    assert rows_of(source, TEXTS) == naive_rows(tmp_path, "source", "vocab.json", TEXTS)
    name = "target_vocab.json" if separate else "vocab.json"
    assert rows_of(target, TEXTS) == naive_rows(tmp_path, "target", name, TEXTS)
    for side in (source, target):
        vocabulary = Vocabulary(side.model)
        assert [vocabulary.piece(index) for index in (PAD, UNK, BOS, EOS)] == ["<pad>", "<unk>", "<s>", "</s>"]
        assert len(side.rows) == vocabulary.size
        pad, end = side.rows[PAD], side.rows[EOS]
        assert side.rows[:4] == [pad, 1, pad, end] and side.never == [BOS]
        assert sorted(side.rows[4:]) == sorted({*range(len(side.rows) - 1)} - {pad, 1, end})


def test_one_vocabulary_means_the_same_ids_on_both_sides(tmp_path: Path) -> None:
    source, target = (Vocabulary(side.model) for side in read_sides(folder_of(write_folder(tmp_path))))
    pieces = [[side.piece(index) for index in range(side.size)] for side in (source, target)]
    assert pieces[0] == pieces[1]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_pieces_of_the_other_side_can_be_decoded(tmp_path: Path, kind: str) -> None:
    source, target = (Vocabulary(side.model) for side in read_sides(folder_of(write_folder(tmp_path, kind=kind))))
    text = "„ka lo“ x! ter"
    (ids,) = target.encode([text])
    assert source.decode([ids]) == target.decode([ids]) == [text]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_piece_that_the_vocabulary_lacks_reads_as_unknown(tmp_path: Path, kind: str) -> None:
    own = [piece for piece in naive_pieces(write_folder(tmp_path / "whole", kind=kind), "source") if len(piece) > 2]
    lacking = [own[0], own[3]]
    path = write_folder(tmp_path / "part", kind=kind, lacking=lacking)
    source, target = read_sides(folder_of(path))
    assert rows_of(source, TEXTS) == naive_rows(path, "source", "vocab.json", TEXTS)
    vocabulary = Vocabulary(source.model)
    new = [index for index in range(vocabulary.size) if vocabulary.piece(index) in lacking]
    assert [source.rows[index] for index in new] == [1, 1]
    assert source.never == target.never == [BOS, *new]
    targets = Vocabulary(target.model).encode(TEXTS)
    assert not set(new) & {index for ids in targets for index in ids}


def naive_pieces(path: Path, side: str) -> list[str]:
    own = SentencePieceProcessor(model_file=str(path / f"{side}.spm"))
    return [own.id_to_piece(index) for index in range(3, own.get_piece_size())]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_language_code_before_a_source_is_one_piece(tmp_path: Path, kind: str) -> None:
    """The folder's tokenizer takes it off before it segments the rest."""
    codes = [">>fra<<", ">>cmn_Hans<<"]
    path = write_folder(tmp_path, kind=kind, codes=codes)
    folder = folder_of(path)
    source, _ = read_sides(folder)
    texts = [text for text in TEXTS if text.strip()]
    for row, code in enumerate(codes, start=2):
        expected = [[row, *rest] for rest in naive_rows(path, "source", "vocab.json", texts)]
        assert rows_of(source, [f"{code} {text}" for text in texts]) == expected
    assert language_codes(folder) == codes
    assert set(Vocabulary(source.model).symbols.values()) == {4, 5}


def test_a_start_symbol_of_its_own_is_no_copy(tmp_path: Path) -> None:
    path = write_folder(tmp_path, codes=["<go>"], decoder_start_token_id=2)
    for side in read_sides(folder_of(path)):
        assert (Vocabulary(side.model).piece(BOS), side.rows[BOS], side.never) == ("<go>", 2, [])
        assert len(set(side.rows)) == len(side.rows)


def test_rows_without_a_name_stay(tmp_path: Path) -> None:
    """Some folders have more rows than pieces; all are part of the softmax."""
    path = write_folder(tmp_path)
    config = json.loads((path / "config.json").read_text())
    size = config["vocab_size"] + 3
    (path / "config.json").write_text(json.dumps({**config, "vocab_size": size}))
    side, _ = read_sides(folder_of(path))
    assert set(side.rows) == set(range(size))
    assert rows_of(side, TEXTS) == naive_rows(path, "source", "vocab.json", TEXTS)


@pytest.mark.parametrize(("kind", "strength"), [("unigram", 0.5), ("bpe", 0.3)])
def test_sampled_segmentations_have_only_this_sides_pieces(tmp_path: Path, kind: str, strength: float) -> None:
    side, _ = read_sides(folder_of(write_folder(tmp_path, kind=kind)))
    vocabulary = Vocabulary(side.model)
    texts = [text for text in odd_texts(50) if text.strip()]
    sampled, _ = sampler_of(kind, vocabulary, strength).sample(
        RunSplitter(vocabulary).split(texts), keys_of(1, 0, 0, count=len(texts))
    )
    own = {*naive_pieces(tmp_path, "source"), "<unk>"}
    assert {vocabulary.piece(index) for index in sampled.tolist()} <= own
    assert len(sampled) > sum(map(len, vocabulary.encode(texts)))


def test_how_the_models_were_trained(tmp_path: Path) -> None:
    path = write_folder(tmp_path, kind="bpe")
    expected = {"model_type": "bpe", "character_coverage": 0.9995, "byte_fallback": False, "normalization": "nmt_nfkc"}
    assert specification((path / "source.spm").read_bytes()) == expected


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("source.spm", b"\xff\xff", "source.spm is not a SentencePiece model"),
        ("target.spm", None, "there is no {folder}/target.spm: of tokenizers that of MarianMT can be imported, which "
         "has source.spm, target.spm and vocab.json"),
        ("vocab.json", None, "cannot read {folder}/vocab.json: No such file or directory"),
        ("vocab.json", b"{", "vocab.json is damaged: "),
        ("vocab.json", b"[]", "vocab.json does not hold keys and values"),
        ("vocab.json", b'{"</s>": 0}', "vocab.json has no piece <unk>"),
        ("vocab.json", b'{"</s>": 0, "<unk>": "1"}', "vocab.json: the id of '<unk>' must be a whole number, got '1'"),
        ("vocab.json", b'{"</s>": 3, "<unk>": 1}',
         "config.json: eos_token_id=0 is not the id of </s> in vocab.json, 3"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, file: str, content: bytes | None, message: str) -> None:
    path = write_folder(tmp_path / "folder")
    if content is None:
        (path / file).unlink()
    else:
        (path / file).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_sides(folder_of(path))
    assert message.format(folder=path) in str(caught.value)
