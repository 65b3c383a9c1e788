from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_text import sentences, settings

from seq2seq.errors import CheckpointError
from seq2seq.tokenizer import Tokenizer, Vocabulary
from seq2seq.types import BOS, EOS, PAD

TEXT = sentences(300)
TOKENIZERS = {kind: settings(model_type=kind).train(TEXT, TEXT) for kind in ("unigram", "bpe", "char")}


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(text=st.text().filter(lambda text: "\u2581" not in text))
def test_decoding_restores_the_text(kind: str, text: str):
    vocabulary = TOKENIZERS[kind].source
    assert vocabulary.decode(vocabulary.encode([text])) == [text]


@pytest.mark.parametrize("text", ["", " ", "  a  b ", "\n", "a\nb", " \n\n a", "a\rb", "\t", "\0", "\u2028", "😀é́"])
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_white_space_line_breaks_and_unknown_characters_are_restored(kind: str, text: str):
    vocabulary = TOKENIZERS[kind].source
    assert vocabulary.decode(vocabulary.encode([text])) == [text]


def test_sentencepieces_space_symbol_becomes_a_space():
    vocabulary = TOKENIZERS["bpe"].source
    assert vocabulary.decode(vocabulary.encode(["a\u2581b"])) == ["a b"]


def test_a_line_break_is_one_piece_also_without_byte_fallback():
    vocabulary = settings(byte_fallback=False, vocab_size=80).train(TEXT, TEXT).source
    (ids,) = vocabulary.encode(["ka\nlo"])
    assert [vocabulary.piece(i) for i in ids].count("\\n") == 1 and vocabulary.decode([ids]) == ["ka\nlo"]


def test_decoding_skips_padding_bos_and_eos():
    vocabulary = TOKENIZERS["bpe"].source
    (ids,) = vocabulary.encode([TEXT[0]])
    assert vocabulary.decode([[BOS, *ids, EOS, PAD, PAD], [], [EOS]]) == [TEXT[0], "", ""]


def test_encoding_adds_no_bos_or_eos_and_empty_text_has_no_tokens():
    vocabulary = TOKENIZERS["unigram"].source
    assert vocabulary.encode([]) == [] and vocabulary.encode([""]) == [[]]
    assert not {PAD, BOS, EOS} & {i for row in vocabulary.encode(["<s> </s> <pad>", *TEXT]) for i in row}


@pytest.mark.parametrize("joint", [True, False])
def test_a_saved_tokenizer_is_loaded_unchanged(tmp_path: Path, joint: bool):
    saved = settings(joint=joint).train(TEXT, sentences(300, seed=1))
    saved.save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == (
        ["joint.model", "sha256.json"] if joint else ["sha256.json", "source.model", "target.model"]
    )
    loaded = Tokenizer.load(tmp_path)
    assert loaded.joint == joint and loaded.fingerprint == saved.fingerprint
    assert loaded.target.encode(TEXT) == saved.target.encode(TEXT)
    (tmp_path / "sha256.json").unlink()  # as older versions saved it
    assert Tokenizer.load(tmp_path).fingerprint == saved.fingerprint


def test_the_error_names_a_missing_or_damaged_model(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"source\.model cannot be read: No such file"):
        Tokenizer.load(tmp_path)
    (tmp_path / "joint.model").write_bytes(TOKENIZERS["bpe"].source.model[:1000])
    with pytest.raises(CheckpointError, match=r"joint\.model is damaged or not a tokenizer"):
        Tokenizer.load(tmp_path)


def test_a_model_other_than_the_saved_one_is_refused(tmp_path: Path):
    saved, other = TOKENIZERS["bpe"], TOKENIZERS["unigram"]
    saved.save(tmp_path)
    (tmp_path / "joint.model").write_bytes(other.source.model)
    with pytest.raises(CheckpointError, match=r"joint\.model is damaged: its SHA-256 is not the one in sha256\.json"):
        Tokenizer.load(tmp_path)
    for broken in (b"[" * 5000, b"{}", b"\xff", b'{"../x.model": "1"}', b"null"):
        (tmp_path / "sha256.json").write_bytes(broken)
        with pytest.raises(CheckpointError, match=r"sha256\.json is damaged"):
            Tokenizer.load(tmp_path)


def test_models_are_not_written_through_links(tmp_path: Path):
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "joint.model").symlink_to("kept")
    with pytest.raises(OSError, match="it is a link"):
        TOKENIZERS["bpe"].save(tmp_path)
    assert (tmp_path / "kept").read_text() == "kept"


def test_a_model_with_other_special_ids_is_refused():
    import io

    import sentencepiece

    model = io.BytesIO()
    lines = iter(TEXT)
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=lines, model_writer=model, vocab_size=60, minloglevel=2)
    with pytest.raises(ValueError, match="must have the ids 0, 1, 2, 3"):
        Vocabulary(model.getvalue())
