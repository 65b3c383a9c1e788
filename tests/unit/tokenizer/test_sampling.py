import itertools
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import sample_text
from sample_text import sentences, settings

from seq2seq.tokenizer.bpe_dropout import DropoutSampler
from seq2seq.tokenizer.draws import keys_of
from seq2seq.tokenizer.runs import LONGEST_RUN, RunSplitter
from seq2seq.tokenizer.sampling import Sampler
from seq2seq.tokenizer.unigram_sampling import UnigramSampler
from seq2seq.tokenizer.vocabulary import Vocabulary

TEXT = sentences(300)
ODD = ["", " ", "  a  b ", "\n", "ka\nlo", " \n\n a", "😀😀 ka😀lo", "\t", "日本 x日", "a\u2581\u2581b", "ka" * 80]


def vocabulary(kind: str, **given) -> Vocabulary:
    return settings(model_type=kind, **given).train(TEXT, TEXT).source


def rows(words: Vocabulary, sampler: Sampler, texts: list[str], seed: int = 0, first: int = 0) -> list[list[int]]:
    ids, lengths = sampler.sample(RunSplitter(words).split(texts), keys_of(seed, count=len(texts), first=first))
    return [row.tolist() for row in np.split(ids, np.cumsum(lengths)[:-1])]


@pytest.mark.parametrize("options", [{}, {"byte_fallback": False, "vocab_size": 80}, {"normalization": "nmt_nfkc"}])
def test_bpe_without_dropout_equals_sentencepieces_encoding(options: dict):
    words = vocabulary("bpe", **options)
    assert rows(words, DropoutSampler(words, 0.0), TEXT + ODD) == words.encode(TEXT + ODD)


@pytest.mark.parametrize("options", [{}, {"byte_fallback": False, "vocab_size": 80}, {"normalization": "nmt_nfkc"}])
def test_sharp_unigram_sampling_equals_sentencepieces_encoding(options: dict):
    """Up to ties: another segmentation must have the same score."""
    words = vocabulary("unigram", **options)

    def score(ids: list[int]) -> float:
        return sum(words.processor.get_score(i) for i in ids)

    for drawn, best in zip(
        rows(words, UnigramSampler(words, 500.0), TEXT + ODD), words.encode(TEXT + ODD), strict=True
    ):
        assert drawn == best or score(drawn) == pytest.approx(score(best), abs=0.05)


@pytest.mark.parametrize("sampler", [DropoutSampler, UnigramSampler])
def test_every_draw_decodes_to_the_text(sampler: type[Sampler]):
    words = vocabulary("bpe" if sampler is DropoutSampler else "unigram")
    draws = {seed: rows(words, sampler(words, 0.3), TEXT + ODD, seed) for seed in range(3)}
    for drawn in draws.values():
        assert words.decode(drawn) == [text.replace("\u2581", " ") for text in TEXT + ODD]
    assert draws[0] != draws[1] != draws[2]


def test_unigram_draws_follow_the_model():
    """Frequencies in 20,000 draws, compared with P(x)^alpha over all segmentations."""
    words, alpha, word = vocabulary("unigram", byte_fallback=False, vocab_size=110), 0.2, "kalokalo"
    sampler = UnigramSampler(words, alpha)
    marked = "\u2581" + word
    weights = {}
    for cuts in itertools.product([False, True], repeat=len(marked) - 1):
        places = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), len(marked)]
        pieces = [marked[a:b] for a, b in itertools.pairwise(places)]
        if all(piece in sampler.pieces for piece in pieces):
            weights[tuple(sampler.pieces[p] for p in pieces)] = math.exp(
                alpha * sum(words.processor.get_score(sampler.pieces[p]) for p in pieces)
            )
    drawn = Counter(map(tuple, rows(words, sampler, [word] * 20_000)))
    assert len(weights) > 3 and set(drawn) <= set(weights)
    for ids, weight in weights.items():
        share = weight / sum(weights.values())
        assert drawn[ids] / 20_000 == pytest.approx(share, abs=4 * math.sqrt(share / 20_000) + 1e-4)


def test_bpe_dropout_draws_follow_the_algorithm():
    """Frequencies in 20,000 draws, compared with the probabilities from the algorithm's tree of choices."""
    words, drop, word = vocabulary("bpe"), 0.25, "kalo"
    sampler = DropoutSampler(words, drop)

    def chances(symbols: tuple[str, ...]) -> Counter:
        pairs = [(i, sampler.pieces.get(symbols[i] + symbols[i + 1])) for i in range(len(symbols) - 1)]
        ranked = sorted((merged, i) for i, merged in pairs if merged is not None)
        total: Counter = Counter()
        for tried, (_, i) in enumerate(ranked):
            for end, chance in chances((*symbols[:i], symbols[i] + symbols[i + 1], *symbols[i + 2 :])).items():
                total[end] += drop**tried * (1 - drop) * chance
        total[symbols] += drop ** len(ranked)
        return total

    expected = chances(("\u2581", *word))
    drawn = Counter(tuple(map(words.piece, row)) for row in rows(words, sampler, [word] * 20_000))
    assert len(expected) > 3 and set(drawn) <= set(expected)
    for pieces, share in expected.items():
        assert drawn[pieces] / 20_000 == pytest.approx(share, abs=4 * math.sqrt(share / 20_000) + 1e-4)


def test_full_dropout_leaves_characters():
    words = vocabulary("bpe")
    assert [len(row) for row in rows(words, DropoutSampler(words, 1.0), TEXT[:9])] == [
        len(text) + 1 for text in TEXT[:9]
    ]


@pytest.mark.parametrize("sampler", [DropoutSampler, UnigramSampler])
@pytest.mark.parametrize("spaces", [True, False])
def test_a_draw_does_not_depend_on_other_texts(sampler: type[Sampler], spaces: bool):
    words = vocabulary("bpe" if sampler is DropoutSampler else "unigram")
    given = [text if spaces else text.replace(" ", "") for text in TEXT + ODD]
    drawing = sampler(words, 0.3)
    drawn = rows(words, drawing, given)
    alone = list(range(0, len(given), 10)) + list(range(len(TEXT), len(given)))
    assert [rows(words, drawing, [given[i]], first=i)[0] for i in alone] == [drawn[i] for i in alone]
    assert rows(words, sampler(words, 0.3), given[100:], first=100) == drawn[100:]


@pytest.mark.parametrize("sampler", [DropoutSampler, UnigramSampler])
def test_equal_texts_have_independent_draws(sampler: type[Sampler]):
    words = vocabulary("bpe" if sampler is DropoutSampler else "unigram")
    assert len({tuple(row) for row in rows(words, sampler(words, 0.1), [TEXT[0]] * 50)}) > 9
    twice = rows(words, sampler(words, 0.1), ["kaloter kaloter"] * 50)
    assert any(row[: len(row) // 2] != row[len(row) // 2 :] for row in twice)


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_another_process_draws_the_same(kind: str, tmp_path: Path):
    settings(model_type=kind).train(TEXT, TEXT).save(tmp_path)
    script = f"""
import sys, numpy as np
from pathlib import Path
sys.path.insert(0, {str(Path(sample_text.__file__).parent)!r})
from sample_text import sentences, settings
from seq2seq.tokenizer import Tokenizer
from seq2seq.tokenizer.draws import keys_of
from seq2seq.tokenizer.runs import RunSplitter
words = Tokenizer.load(Path({str(tmp_path)!r})).source
sampler = settings(model_type={kind!r}, sampling=0.2).sampler(words)
print(sampler.sample(RunSplitter(words).split(sentences(300)), keys_of(7, count=300))[0].tolist())
"""
    hashes = {"PYTHONHASHSEED": "0"}, {"PYTHONHASHSEED": "1"}
    outputs = {
        subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, check=True).stdout
        for env in hashes
    }
    assert len(outputs) == 1 and len(outputs.pop()) > 1000


@pytest.mark.parametrize("sampler", [DropoutSampler, UnigramSampler])
def test_very_long_text_without_spaces_is_cut_and_sampled(sampler: type[Sampler]):
    words = vocabulary("bpe" if sampler is DropoutSampler else "unigram")
    text = "kalo" * LONGEST_RUN
    runs = RunSplitter(words).split([text])
    assert np.diff(runs.offsets)[runs.numbers].tolist() == [LONGEST_RUN] * 4 + [1]  # the space before it counts
    assert words.decode(rows(words, sampler(words, 0.2), [text])) == [text]


@pytest.mark.parametrize(
    ("kind", "sampling", "expected"),
    [
        ("bpe", 0.0, None),
        ("unigram", 0.0, None),
        ("bpe", 0.1, DropoutSampler),
        ("unigram", 0.1, UnigramSampler),
    ],
)
def test_the_settings_choose_the_sampler(kind: str, sampling: float, expected: type | None):
    chosen = settings(model_type=kind, sampling=sampling)
    sampler = chosen.sampler(chosen.train(TEXT, TEXT).source)
    assert sampler is None if expected is None else type(sampler) is expected
