"""The numbers of texts agree with plain Python, whatever the chunks; languages, repetitions and lengths on examples."""

import numpy as np
import pytest
from broken_text import ENGLISH, GERMAN
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data.checks import survey as module
from seq2seq.data.checks.alignment import BLOCK, correlations, out_of_step
from seq2seq.data.checks.characters import Characters, Codes
from seq2seq.data.checks.languages import Profiles, same_words
from seq2seq.data.checks.repetition import repeats, several
from seq2seq.data.checks.sides import swapped
from seq2seq.data.checks.survey import Survey, survey

TEXT = st.text(st.sampled_from("ab ä1٣\t\u200b猫.\n"), max_size=12)


def surveyed(sources: list[str], targets: list[str], profiles: Profiles | None = None) -> Survey:
    return survey((sources, targets), Characters(), profiles)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=9))
def test_numbers_of_each_text(pairs: list[tuple[str, str]]) -> None:
    sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
    found = surveyed(sources, targets)
    for side, texts in ((found.source, sources), (found.target, targets)):
        assert side.characters.tolist() == [len(text) for text in texts]
        assert side.words.tolist() == [len(text.split()) for text in texts]
        assert side.letters.tolist() == [sum(map(str.isalpha, text)) for text in texts]
        assert side.blank.tolist() == [not text.strip() for text in texts]
        digits = [sorted(int(letter) for letter in text if letter.isdigit()) for text in texts]
        alike = [[one == other for other in digits] for one in digits]
        assert (side.digits[:, None] == side.digits[None]).tolist() == alike
    alike = [[one == other for other in pairs] for one in pairs]
    assert (found.pairs[:, None] == found.pairs[None]).tolist() == alike


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [*GERMAN[:50], "", "\x1b 12", "猫が好き"]
    targets = [*ENGLISH[:50], "x\ufffd", "", "Ã¤"]
    profiles = Profiles.of(GERMAN, ENGLISH, Characters())
    whole = surveyed(sources, targets, profiles)
    monkeypatch.setattr(module, "CHUNK", 7)
    monkeypatch.setattr(module, "LONGEST", 150)
    parts = surveyed(sources, targets, profiles)
    for side in ("source", "target"):
        for name in type(whole.source).__dataclass_fields__:
            assert np.array_equal(getattr(whole.side(side), name), getattr(parts.side(side), name)), name
        assert np.array_equal(whole.script_letters[side], parts.script_letters[side])
    assert {key: rows.tolist() for key, rows in whole.odd.items()} == {
        key: rows.tolist() for key, rows in parts.odd.items()
    }


def test_scores_tell_the_languages_apart_even_with_a_tenth_swapped() -> None:
    sources = [ENGLISH[row] if row % 10 == 0 else text for row, text in enumerate(GERMAN)]
    targets = [GERMAN[row] if row % 10 == 0 else text for row, text in enumerate(ENGLISH)]
    profiles = Profiles.of(sources, targets, Characters())
    assert profiles is not None
    found = np.flatnonzero(swapped(surveyed(sources, targets, profiles), profiles))
    assert found.tolist() == list(range(0, len(GERMAN), 10))


@pytest.mark.parametrize(
    ("sources", "targets"),
    [
        (GERMAN, GERMAN),
        (GERMAN, GERMAN[::-1]),
        (GERMAN, [" ".join(text.split()[:4]) for text in GERMAN]),
        (GERMAN[:40], ENGLISH[:40]),  # too few to say
        (["1 2 3"] * 100, ["3 2 1"] * 100),
        ([""] * 100, [""] * 100),
    ],
)
def test_there_are_no_profiles_of_one_language(sources: list[str], targets: list[str]) -> None:
    assert Profiles.of(sources, targets, Characters()) is None


def test_same_words() -> None:
    assert same_words(GERMAN, GERMAN)
    assert not same_words(GERMAN, ENGLISH)


def test_scores_of_short_texts_are_finite() -> None:
    profiles = Profiles.of(GERMAN, ENGLISH, Characters())
    assert profiles is not None
    scores = profiles.scores(Codes.of(["", "a", "ab", "abc", ""]), Characters())
    assert np.isfinite(scores).all()
    assert scores[0] == scores[4] == 0


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=20))
def test_repetitions(pairs: list[tuple[int, int]]) -> None:
    first, second = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
    seen: set[int] = set()
    again = []
    for value in first.tolist():
        again.append(value in seen)
        seen.add(value)
    assert repeats(first).tolist() == again
    others = {value: {other for one, other in pairs if one == value} for value in seen}
    assert several(first, second) == sum(len(found) > 1 for found in others.values())


def test_correlations_of_blocks_are_those_of_numpy() -> None:
    draw = np.random.default_rng(1)
    x = draw.normal(size=3 * BLOCK + 10)
    y = x + draw.normal(size=len(x))
    blocks = [slice(start, start + BLOCK) for start in range(0, 3 * BLOCK, BLOCK)]
    assert correlations(x, y) == pytest.approx([np.corrcoef(x[each], y[each])[0, 1] for each in blocks])
    assert correlations(np.ones(BLOCK), y[:BLOCK]).tolist() == [0.0]


@pytest.mark.parametrize("shift", [-3, -1, 1, 2])
def test_a_stretch_that_is_out_of_step_and_by_how_many_lines(shift: int) -> None:
    draw = np.random.default_rng(2)
    lengths = draw.integers(20, 200, 20 * BLOCK)
    sources, targets = lengths.copy(), (lengths * 1.1).astype(int)
    targets[2000:3500] = np.roll(targets, shift)[2000:3500]
    (found,) = out_of_step(sources, targets)
    assert found.shift == shift
    assert abs(found.start - 2000) <= 5
    assert abs(found.end - 3500) <= 5


def test_lengths_that_do_not_vary_are_not_out_of_step() -> None:
    same = np.full(20 * BLOCK, 30)
    assert out_of_step(same, same) == []
    draw = np.random.default_rng(3)
    one, other = (draw.integers(20, 200, 20 * BLOCK) for _ in range(2))
    assert out_of_step(one, other) == []
    assert out_of_step(np.sort(one), np.sort(one)) == []
