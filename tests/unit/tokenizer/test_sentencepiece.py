import re

import numpy as np
import pytest
from sample_text import sentences, settings

from seq2seq.errors import ConfigError, DataError
from seq2seq.tokenizer.draws import keys_of
from seq2seq.tokenizer.runs import RunSplitter
from seq2seq.tokenizer.sentencepiece import symbol_ids
from seq2seq.types import BOS, EOS, PAD, UNK

TEXT = sentences(400)
OTHER = sentences(400, seed=1)
TYPES = [("unigram", 320), ("bpe", 320), ("char", 320)]


@pytest.mark.parametrize(("model_type", "size"), TYPES)
@pytest.mark.parametrize("joint", [True, False])
def test_training_gives_a_vocabulary_of_that_size(model_type: str, size: int, joint: bool):
    tokenizer = settings(model_type=model_type, vocab_size=size, joint=joint).train(TEXT, OTHER)
    assert tokenizer.joint == joint == (tokenizer.source is tokenizer.target)
    if model_type == "char":  # exactly the characters
        characters = set("".join(TEXT + (OTHER if joint else []))) - {" "} | {"\u2581"}
        assert tokenizer.source.size == 4 + 1 + 256 + len(characters)
    else:
        assert tokenizer.source.size == tokenizer.target.size == size
    assert [tokenizer.source.piece(i) for i in (PAD, UNK, BOS, EOS)] == ["<pad>", "<unk>", "<s>", "</s>"]


def test_a_joint_vocabulary_has_both_sides_and_separate_ones_their_own():
    joint = settings(model_type="char", byte_fallback=False).train(["aa b"], ["cc d"])
    separate = settings(model_type="char", byte_fallback=False, joint=False).train(["aa b"], ["cc d"])
    assert joint.source.decode(joint.source.encode(["abcd"])) == ["abcd"]
    assert UNK in separate.source.encode(["c"])[0] and UNK not in separate.source.encode(["a"])[0]
    assert UNK in separate.target.encode(["a"])[0] and UNK not in separate.target.encode(["c"])[0]


@pytest.mark.parametrize(("model_type", "size"), TYPES)
def test_pieces_that_are_never_split_have_the_first_ids(model_type: str, size: int):
    symbols = ["<row>", "|"]
    vocabulary = settings(model_type=model_type, vocab_size=size, symbols=symbols).train(TEXT, OTHER).source
    assert vocabulary.symbols == symbol_ids(symbols) == {"\n": 4, "<row>": 5, "|": 6}
    assert [i for i in vocabulary.encode(["a:\nb|<row>\n"])[0] if i < 7] == [4, 6, 5, 4]


@pytest.mark.parametrize(("model_type", "size"), TYPES)
def test_training_again_gives_the_same_model(model_type: str, size: int):
    first, second = (settings(model_type=model_type, vocab_size=size).train(TEXT, OTHER) for _ in range(2))
    assert first.source.model == second.source.model and first.fingerprint == second.fingerprint


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_a_vocabulary_larger_than_the_text_allows_names_the_largest(model_type: str):
    with pytest.raises(
        DataError, match=r"^tokenizer.vocab_size=9000: the joint text allows at most \d+ pieces"
    ) as error:
        settings(model_type=model_type, vocab_size=9000).train(TEXT, TEXT)
    largest = int(str(error.value).split("tokenizer.vocab_size=")[-1].split()[0])
    assert settings(model_type=model_type, vocab_size=largest).train(TEXT, TEXT).source.size == largest


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_a_vocabulary_too_small_for_the_characters_names_the_smallest(model_type: str):
    with pytest.raises(DataError, match=r"the source text needs at least \d+ pieces for its characters") as error:
        settings(model_type=model_type, vocab_size=100, joint=False).train(TEXT, TEXT)
    smallest = int(str(error.value).split("at least ")[1].split()[0])
    assert settings(model_type=model_type, vocab_size=smallest, joint=False).train(TEXT, TEXT).source.size == smallest


def test_a_character_vocabulary_that_is_too_small_is_refused():
    with pytest.raises(DataError, match=r"tokenizer.vocab_size=100 is smaller than the number of reserved pieces"):
        settings(model_type="char", vocab_size=100).train(TEXT, TEXT)


@pytest.mark.parametrize("lines", [[], [""], ["", ""]])
def test_empty_text_is_reported(lines: list[str]):
    with pytest.raises(DataError, match="the source text is empty: there is nothing to train the tokenizer on"):
        settings(joint=False).train(lines, TEXT)


NOT_SKIPPED = [
    ("long", lambda line: " ".join([line] * 500)),  # over 4,192 bytes
    ("long without a space", lambda line: (line.replace(" ", "") + "ж") * 500),
    ("NUL", lambda line: f"{line} \0"),
    ("U+2585", lambda line: f"\u2585{line}"),
    ("tab", lambda line: f"{line}\t"),
]


@pytest.mark.parametrize(("kind", "change"), NOT_SKIPPED, ids=[kind for kind, _ in NOT_SKIPPED])
def test_no_line_is_skipped_in_training(kind: str, change):
    odd = [change("ж" + line) for line in TEXT[:20]]
    tokenizer = settings(byte_fallback=False, vocab_size=100).train(TEXT[20:] + odd, TEXT)
    assert UNK not in tokenizer.source.encode(["ж"])[0]


def test_evenly_spaced_lines_are_used_if_there_are_too_many():
    few = settings(training_lines=134, joint=False).train(TEXT, OTHER)  # of 400 lines every third, first and last
    same = settings(joint=False).train(TEXT[::3], OTHER[::3])
    whole = settings(joint=False).train(TEXT, OTHER)
    assert few.fingerprint == same.fingerprint != whole.fingerprint


def test_wrong_settings_are_reported_together():
    with pytest.raises(ConfigError) as error:
        settings(model_type="char", sampling=0.5, character_coverage=1.5, training_lines=0, vocab_size=3)
    assert [line.split(" ")[0] for line in str(error.value).split("\n")] == [
        f"tokenizer.{key}" for key in ("character_coverage", "sampling", "training_lines", "vocab_size")
    ]


def test_sampling_does_not_change_the_identity():
    assert settings(sampling=0.1).identity() == settings().identity() != settings(vocab_size=321).identity()


def test_auto_size_is_the_size_where_the_text_allows_it():
    assert settings(vocab_size="auto", auto_size=350).train(TEXT, OTHER).source.size == 350
    assert settings(vocab_size=330, auto_size=350).train(TEXT, OTHER).source.size == 330
    most = settings(vocab_size="auto", auto_size=50_000).train(TEXT, OTHER).source.size
    with pytest.raises(DataError, match=f"allows at most {most} pieces"):
        settings(vocab_size=most + 1).train(TEXT, OTHER)
    assert (
        settings(vocab_size="auto", auto_size=270).train(["a b"], [chr(0x4E00 + i) for i in range(99)]).source.size
        > 350
    )
    with pytest.raises(ConfigError, match="auto_size must be at least 5, not 4"):
        settings(auto_size=4)


def test_auto_size_changes_the_identity_if_it_is_given():
    assert "auto_size" not in settings().identity()
    assert settings(auto_size=350).identity() != settings(auto_size=351).identity()


SYMBOLS = ["<2de>", "{{name}}", "ka", "kalo", "ÄBC", "日"]


@pytest.mark.parametrize(("model_type", "size"), TYPES)
@pytest.mark.parametrize("normalization", ["identity", "nmt_nfkc_cf"])
@pytest.mark.parametrize("sampling", [0.0, 0.4])
def test_a_symbol_is_always_one_piece(model_type: str, size: int, normalization: str, sampling: float):
    """The longest match, in any context, even if it was never seen in training; case is kept."""
    given = {"model_type": model_type, "vocab_size": size, "normalization": normalization, "symbols": SYMBOLS}
    chosen = settings(**given, sampling=sampling if model_type != "char" else 0.0)
    vocabulary = chosen.train(TEXT, OTHER).source
    texts = ["<2de> ka", "x<2de>y{{name}}s", "kalokalo ka kal", "ÄBC ÄBCx<2de><2de>", "\n日\n{{name}}\n", "lo<2de", ""]
    counts = {"<2de>": [1, 1, 0, 2, 0, 0, 0], "{{name}}": [0, 1, 0, 0, 1, 0, 0], "ÄBC": [0, 0, 0, 2, 0, 0, 0]}
    counts |= {"kalo": [0, 0, 2, 0, 0, 0, 0], "ka": [1, 0, 2, 0, 0, 0, 0], "日": [0, 0, 0, 0, 1, 0, 0]}
    rows = vocabulary.encode(texts)
    if sampler := chosen.sampler(vocabulary):
        ids, lengths = sampler.sample(RunSplitter(vocabulary).split(texts), keys_of(1, count=len(texts)))
        rows = [row.tolist() for row in np.split(ids, np.cumsum(lengths)[:-1])]
    pieces = [[vocabulary.piece(i) for i in row] for row in rows]
    assert {symbol: [row.count(symbol) for row in pieces] for symbol in SYMBOLS} == counts
    assert vocabulary.decode(rows) == texts


BAD_SYMBOLS = [
    (["a b"], "tokenizer.symbols: 'a b' must be a text without white space"),
    ([""], "tokenizer.symbols: '' must be a text without white space"),
    (["\n"], "must be a text without white space"),
    (["\u2581a"], "must be a text without white space"),
    (["</s>"], "tokenizer.symbols: '</s>' is already the name of a piece; choose another"),
    (["<0x0A>"], "is already the name of a piece"),
    (["<a>", "<a>"], "tokenizer.symbols: '<a>' is given 2 times; once is enough"),
]


@pytest.mark.parametrize(("symbols", "message"), BAD_SYMBOLS)
def test_invalid_symbols_are_reported(symbols: list[str], message: str):
    with pytest.raises(ConfigError, match=re.escape(message)):
        settings(symbols=symbols)


def test_the_identity_names_symbols_only_if_there_are_any():
    assert "symbols" not in settings().identity()
    assert settings(symbols=["<a>"]).identity() == {**settings().identity(), "symbols": ["<a>"]}
