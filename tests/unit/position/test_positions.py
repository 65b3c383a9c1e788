"""Each kind of position compared with its paper's equations in plain loops, in float64."""

import math
from typing import Any

import pytest
import torch

from seq2seq.position.alibi import AlibiPosition, slopes
from seq2seq.position.base import Position
from seq2seq.position.learned import LearnedPosition
from seq2seq.position.none import NoPosition
from seq2seq.position.relative import RelativePosition
from seq2seq.position.rotary import RotaryPosition
from seq2seq.position.sinusoidal import SinusoidalPosition
from seq2seq.position.sinusoidal_2d import Sinusoidal2dPosition

TOKENS = torch.tensor([[7, 5]])
QUERIES, KEYS = torch.tensor([0, 3, 140]), torch.tensor([2, 3, 0, 9, 500])


def test_no_position_changes_nothing() -> None:
    states = torch.randn(2, 3, 4, 6)
    for position in (Position(dim=18, heads=3), NoPosition(dim=18, heads=3, recurrent=False)):
        assert not position.embed(torch.arange(2), TOKENS).any()
        assert position.rotate(states, torch.arange(4)) is states
        assert position.bias(QUERIES, KEYS) is None
        assert position.problem(dim=18, heads=3) is None


def test_sinusoidal_positions_equal_the_papers() -> None:
    vectors = SinusoidalPosition(dim=5, heads=1, recurrent=False).embed(torch.tensor([0, 7]), TOKENS)
    for row, t in enumerate((0, 7)):
        for i in range(5):
            angle = t / 10_000 ** (2 * (i // 2) / 5)
            assert float(vectors[row, i]) == pytest.approx(math.cos(angle) if i % 2 else math.sin(angle), abs=1e-12)


def test_two_dimensions_are_the_line_and_the_place_in_it() -> None:
    """Against a loop over tokens: rows with no line end, one at either end, empty lines, and all of them ends."""
    separator, dim = 6, 8
    rows = [[7, 8, 9, 7, 8, 9], [6, 7, 8, 6, 7, 8], [7, 6, 6, 6, 9, 6], [6] * 6, [7, 8, 6, 9, 0, 0]]
    given = {"dim": dim, "heads": 2, "separator": "<row>", "recurrent": False}
    position = Sinusoidal2dPosition(symbols={"\n": 4, "<row>": separator}, **given)
    half = SinusoidalPosition(dim=dim // 2, heads=1, recurrent=False)
    found = position.embed(torch.arange(6), torch.tensor(rows))
    for row, tokens in enumerate(rows):
        line = place = 0
        for t, token in enumerate(tokens):
            expected = torch.cat([half.waves(torch.tensor([number])) for number in (line, place)], -1)
            assert torch.equal(found[row, t], expected[0]), (row, t)
            line, place = (line + 1, 0) if token == separator else (line, place + 1)
    decoder = Sinusoidal2dPosition(symbols=None, **given)
    plain = SinusoidalPosition(dim=dim, heads=2, recurrent=False)
    assert torch.equal(decoder.embed(QUERIES, torch.tensor(rows)), plain.embed(QUERIES, torch.tensor(rows)))


def test_learned_positions_beyond_the_last_share_its_vector() -> None:
    position = LearnedPosition(dim=3, heads=1, max_length=4, recurrent=False)
    vectors = position.embed(torch.tensor([2, 3, 9]), TOKENS)
    assert torch.equal(vectors[1], vectors[2])
    assert not torch.equal(vectors[0], vectors[1])


def test_rotary_positions_rotate_pairs_as_in_equation_34() -> None:
    """R x = x * cos + (-x_2, x_1, -x_4, x_3, ...) * sin, with theta_i = 10000^(-2(i-1)/d) for the i-th pair."""
    position, states = RotaryPosition(dim=12, heads=2), torch.randn(2, 2, 3, 6, dtype=torch.float64)
    turned = position.rotate(states, QUERIES)
    for b in range(2):
        for h in range(2):
            for t, m in enumerate(QUERIES.tolist()):
                x = states[b, h, t].tolist()
                for n in range(6):
                    angle = m * 10_000 ** (-2 * (n // 2) / 6)
                    other = -x[n + 1] if n % 2 == 0 else x[n - 1]
                    expected = x[n] * math.cos(angle) + other * math.sin(angle)
                    assert float(turned[b, h, t, n]) == pytest.approx(expected, abs=1e-10)


def test_rotary_scores_depend_on_the_distance_only() -> None:
    position = RotaryPosition(dim=8, heads=1)
    query, keys = torch.randn(1, 1, 1, 8, dtype=torch.float64), torch.randn(1, 1, 1, 8, dtype=torch.float64)

    def score(m: int, n: int) -> float:
        turned = position.rotate(query, torch.tensor([m])), position.rotate(keys, torch.tensor([n]))
        return float((turned[0] * turned[1]).sum())

    assert score(5, 2) == pytest.approx(score(103, 100), abs=1e-10)
    assert score(5, 2) != pytest.approx(score(2, 5), abs=1e-3)
    assert score(4, 4) == pytest.approx(float((query * keys).sum()), abs=1e-10)


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        (1, [2**-8]),
        (2, [2**-4, 2**-8]),
        (8, [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]),  # the paper's example
        (3, [2**-4, 2**-8, 2**-2]),
        (12, [2**-i for i in range(1, 9)] + [2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5]),
    ],
)
def test_alibi_slopes(heads: int, expected: list[float]) -> None:
    assert slopes(heads) == pytest.approx(expected, abs=1e-15)


def test_alibi_lowers_scores_in_proportion_to_distance() -> None:
    bias = AlibiPosition(dim=16, heads=8).double().bias(QUERIES, KEYS)
    for h in range(8):
        for t, q in enumerate(QUERIES.tolist()):
            for p, k in enumerate(KEYS.tolist()):
                assert float(bias[h, t, p]) == pytest.approx(-(2 ** -(h + 1)) * abs(q - k), abs=1e-10)


# The first distance of each bucket of one direction.
T5 = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91]
POWERS = [0, 1, 2, 3, 4, 5, 10, 20, 40, 80]  # floating-point logarithms are just below these


@pytest.mark.parametrize(("first", "max_distance"), [(T5, 128), (POWERS, 160)], ids=["T5", "powers"])
def test_relative_buckets(first: list[int], max_distance: int) -> None:
    buckets = len(first)
    position = RelativePosition(dim=4, heads=2, buckets=2 * buckets, max_distance=max_distance).double()
    distances = torch.arange(300)
    back, ahead = position.bias(distances, torch.tensor([0])), position.bias(torch.tensor([0]), distances)
    for distance in range(300):
        bucket = sum(distance >= lowest for lowest in first) - 1
        assert torch.equal(back[:, distance, 0], position.table.weight[bucket])
        assert torch.equal(ahead[:, 0, distance], position.table.weight[bucket + (buckets if distance else 0)])


@pytest.mark.parametrize("kind", [AlibiPosition, RelativePosition])
def test_biases_depend_on_the_distance_only(kind: type[Position]) -> None:
    more = {"buckets": 8, "max_distance": 20} if kind is RelativePosition else {}
    position = kind(dim=4, heads=2, **more)
    assert torch.equal(position.bias(QUERIES, KEYS), position.bias(QUERIES + 7, KEYS + 7))
    assert position.bias(QUERIES, KEYS).shape == (2, 3, 5)


@pytest.mark.parametrize(
    ("kind", "arguments", "expected"),
    [
        (RotaryPosition, {"dim": 12, "heads": 2}, None),
        (RotaryPosition, {"dim": 12, "heads": 4}, "the width of a head must be even, not 12 / 4"),
        (RotaryPosition, {"dim": 12, "heads": 5}, None),  # reported by the encoder or decoder
        (RotaryPosition, {"dim": 12, "heads": 0}, None),
        (RelativePosition, {"dim": 4, "heads": 1, "buckets": 32, "max_distance": 128}, None),
        (RelativePosition, {"dim": 4, "heads": 1, "buckets": 7, "max_distance": 9}, "even and at least 4, not 7"),
        (RelativePosition, {"dim": 4, "heads": 1, "buckets": 2, "max_distance": 9}, "even and at least 4, not 2"),
        (RelativePosition, {"dim": 4, "heads": 1, "buckets": 8, "max_distance": 2}, "buckets / 4 = 2, not 2"),
        (Sinusoidal2dPosition, {"dim": 4, "heads": 1, "symbols": {"\n": 4}, "separator": "\n"}, None),
        (Sinusoidal2dPosition, {"dim": 5, "heads": 1, "symbols": {"\n": 4}, "separator": "\n"}, "even, not 5"),
        (Sinusoidal2dPosition, {"dim": 5, "heads": 1, "symbols": None, "separator": "|"}, None),  # a decoder's
        (
            Sinusoidal2dPosition,
            {"dim": 4, "heads": 1, "symbols": {"\n": 4}, "separator": "<rwo>"},
            "position.separator='<rwo>' must be a piece that is never split: the line break, written \"\\n\", or one "
            "of tokenizer.symbols",
        ),
    ],
)
def test_problems(kind: type[Position], arguments: dict[str, Any], expected: str | None) -> None:
    found = kind.problem(**arguments)
    assert found is None if expected is None else expected in str(found)
