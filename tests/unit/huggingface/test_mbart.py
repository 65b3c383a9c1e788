"""mBART-50 beside transformers on the same folder: the same tokens, probabilities and outputs; and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from marian_folder import odd_texts
from mbart_folder import write_mbart
from pretrained import load_folder

from seq2seq.data.batches import collate_sources
from seq2seq.errors import ConfigError
from seq2seq.huggingface.architecture import read_architecture
from seq2seq.huggingface.folder import ModelFolder
from seq2seq.huggingface.mbart_vocabulary import CODES
from seq2seq.huggingface.vocabulary import language_codes, read_sides
from seq2seq.model.started import started
from seq2seq.search.base import Search
from seq2seq.search.beam import BeamSearch
from seq2seq.search.decode import decode
from seq2seq.search.greedy import GreedySearch
from seq2seq.types import BOS, EOS, PAD, UNK

transformers = pytest.importorskip("transformers")

PREFIXES = ("data.source_prefix='de_DE '", "data.target_prefix='en_XX '")
KINDS: dict[str, dict[str, Any]] = {
    "mbart": {},
    "not scaled": {"scale_embedding": False, "activation_function": "relu"},
    "not tied": {"tie_word_embeddings": False, "ending": 5.0},
}
LONGEST = 25
TEXTS = [text for text in odd_texts(1000) if text.strip()]


@pytest.fixture(scope="module", params=KINDS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder's model as ours, with its vocabularies, and transformers' model and tokenizer."""
    path = write_mbart(tmp_path_factory.mktemp("folder"), **KINDS[request.param])
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(path).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(path, src_lang="de_DE", tgt_lang="en_XX")
    assert type(tokenizer).__name__ == "MBart50Tokenizer"
    return load_folder(path, *PREFIXES), theirs, tokenizer


def test_a_thousand_odd_texts_have_the_same_tokens(both: Any) -> None:
    """But for a piece that theirs has where a text ends with a space; SentencePiece itself removes that."""
    ours, _, tokenizer = both
    (space,) = tokenizer.convert_tokens_to_ids(["\u2581"])
    vocabulary, rows, ended = ours.tokenizer.source, ours.source.rows, 0
    start, targets = ours.tokenizer.target_start("en_XX "), ours.tokenizer.target.encode(TEXTS)
    for text, source, target in zip(
        TEXTS, vocabulary.encode([f"de_DE {text}" for text in TEXTS]), targets, strict=True
    ):
        for ids, keyword in ((source, "text"), ([*start, *target], "text_target")):
            expected = tokenizer(**{keyword: text})["input_ids"][:-1]
            ended += expected[-1] == space
            assert [rows[index] for index in ids] == expected[: len(expected) - (expected[-1] == space)], text
    assert 0 < ended < 0.05 * 2 * len(TEXTS)


def test_one_vocabulary_with_a_piece_for_each_code(both: Any) -> None:
    ours, _, tokenizer = both
    vocabulary = ours.tokenizer.source
    assert ours.tokenizer.joint and vocabulary.size == len(ours.source.rows)
    assert [ours.source.rows[index] for index in (PAD, UNK, BOS, EOS)] == [1, 3, 2, 2]
    assert [*vocabulary.symbols] == [f"\u2581{code}" for code in CODES]
    assert [ours.source.rows[index] for index in vocabulary.symbols.values()] == tokenizer.convert_tokens_to_ids(CODES)
    assert sorted({*ours.source.rows}) == list(range(len(tokenizer)))
    assert vocabulary.decode(vocabulary.encode(["ka lo mi"])) == ["ka lo mi"]


def test_probabilities_are_the_same(both: Any) -> None:
    ours, theirs, tokenizer = both
    texts = [text.strip() for text in TEXTS[:40]]
    given = tokenizer(texts, return_tensors="pt", padding=True)
    source, mask = collate_sources(ours.tokenizer.source.encode([f"de_DE {text}" for text in texts]))
    draw, rows = torch.Generator().manual_seed(0), torch.tensor(ours.target.rows)
    drawn = torch.randint(4, len(rows), (len(texts), 9), generator=draw)
    target_in = torch.cat((torch.full((len(texts), 1), BOS), drawn), 1)
    with torch.no_grad():
        memory = ours.model.encode(source, mask)
        found = ours.model.generator.log_probs(ours.model.decode(target_in, memory), memory.tokens)
        expected = theirs(**given, decoder_input_ids=rows[target_in]).logits.log_softmax(-1)
    real = [index for index in range(len(rows)) if index not in ours.target.never]
    assert torch.allclose(found[..., real], expected[..., rows[real]], atol=1e-4)


@pytest.mark.parametrize(
    ("search", "options"),
    [
        (GreedySearch(max_length=LONGEST, max_length_ratio=1e3), {"num_beams": 1}),
        (BeamSearch(beam_size=4, length_penalty=1.0, max_length=LONGEST, max_length_ratio=1e3),
         {"num_beams": 4, "length_penalty": 1.0, "early_stopping": True}),
        (BeamSearch(beam_size=3, length_penalty=0.6, max_length=LONGEST, max_length_ratio=1e3),
         {"num_beams": 3, "length_penalty": 0.6, "early_stopping": True}),
    ],
    ids=["greedy", "beam", "beam with a length penalty"],
)  # fmt: skip
@pytest.mark.parametrize("language", ["en_XX", "fr_XX"])
def test_outputs_are_the_same(both: Any, search: Search, options: dict[str, Any], language: str) -> None:
    """Of outputs that end by themselves, as for MarianMT; of greedy ones, up to the limit."""
    ours, theirs, tokenizer = both
    texts = [text.strip() for text in TEXTS[:60]]
    given, forced = tokenizer(texts, return_tensors="pt", padding=True), tokenizer.convert_tokens_to_ids(language)
    with torch.no_grad():
        outputs = theirs.generate(
            **given, forced_bos_token_id=forced, max_length=LONGEST + 2, do_sample=False, **options
        )
    model = started(ours.model, ours.tokenizer.target_start(f"{language} "))
    sources = ours.tokenizer.source.encode([f"de_DE {text}" for text in texts])
    found = decode(model, search, sources, device=torch.device("cpu"), tokens_per_batch=500)
    compared = 0
    for hypotheses, output in zip(found, outputs.tolist(), strict=True):
        rows = [ours.target.rows[index] for index in hypotheses[0].tokens]
        assert output[:2] == [2, forced]
        if len(rows) < LONGEST - 2 and 2 in output[2:]:
            compared += bool(rows)
            assert rows == output[2 : output.index(2, 2)]
        elif options["num_beams"] == 1:  # whose tokens do not depend on later ones
            compared += 1
            assert rows == output[2 : 2 + len(rows)]
    assert compared >= 20


def test_settings_of_a_folder(tmp_path: Path) -> None:
    path = write_mbart(tmp_path, attention_dropout=0.2)
    found = read_architecture(ModelFolder(path, "hf:x"))
    expected = {
        **{"encoder.norm": "pre", "embedding.norm": True, "embedding.scale": True, "position.max_length": 300},
        **{"tie": "all", "tokenizer.joint": True, "position.recurrent": False},
    }
    assert {key: found.values[key] for key in expected} == expected
    assert (found.choices["position"], found.choices["tokenizer"]) == ("learned", "unigram")
    usual = {"data.target_prefix": "en_XX ", "search.beam_size": 5, "search.max_length": 38, "attention.dropout": 0.2}
    assert {key: found.usual[key] for key in usual} == usual
    assert {*found.most.values()} == {299} and found.coded_twice


def test_codes_that_a_folder_adds(tmp_path: Path) -> None:
    path = write_mbart(tmp_path, vocab_size=200)
    file = path / "tokenizer_config.json"
    added = {
        "180": {"content": "yo_NG"},
        "3": {"content": "<unk>"},
        "181": {"content": "a b_C"},
        "900": {"content": "xx_XX"},
    }
    file.write_text(json.dumps({"tokenizer_class": "MBart50TokenizerFast", "added_tokens_decoder": added}))
    folder = ModelFolder(path, "hf:x")
    assert language_codes(folder) == [*CODES, "yo_NG"]
    side, _ = read_sides(folder)
    assert side.rows[EOS + 1 + len(CODES)] == 180


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("tokenizer_config.json", {"tokenizer_class": "MBartTokenizer"},
         "tokenizer_class=MBartTokenizer cannot be imported: its language codes stand after the source ('text </s> "
         "de_DE'), as in mBART-cc25; of mBART's tokenizers MBart50Tokenizer can (tokenizer_config.json)"),
        ("tokenizer_config.json", {"tokenizer_class": None},
         "tokenizer_class=None cannot be imported; of mBART's tokenizers MBart50Tokenizer can (tokenizer_config.json)"),
        ("config.json", {"pad_token_id": 0}, "config.json: pad_token_id=0: mBART-50 has 1 (<pad>) there"),
        ("config.json", {"max_position_embeddings": None},
         "config.json: max_position_embeddings: expected a whole number from 1 to 10,000,000, got None"),
        ("generation_config.json", {"decoder_start_token_id": 7},
         "config.json: decoder_start_token_id=7: mBART-50 has 2 (</s>) there"),
        ("generation_config.json", {"forced_bos_token_id": 9}, "forced_bos_token_id=9 is the id of no language code"),
    ],
)  # fmt: skip
def test_what_is_refused_is_named(tmp_path: Path, file: str, changes: dict[str, Any], message: str) -> None:
    path = write_mbart(tmp_path)
    content = {**json.loads((path / file).read_text()), **changes}
    (path / file).write_text(json.dumps(content))
    if "pad_token_id" in changes:
        (path / "generation_config.json").unlink()
    with pytest.raises(ConfigError) as caught:
        read_architecture(ModelFolder(path, f"hf:{path}"))
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no {path}: copy it from the folder of the model that this one was trained from"),
        (b"\xff\xff", "{path} is not a SentencePiece model"),
        (b"", "{path} is not mBART's: its first pieces are not <unk>, <s>, </s>"),
    ],
)
def test_what_is_wrong_with_the_model_of_pieces_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = write_mbart(tmp_path) / "sentencepiece.bpe.model"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_architecture(ModelFolder(tmp_path, "hf:x"))
    assert message.format(path=path) in str(caught.value)
