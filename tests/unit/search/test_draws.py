"""Draws depend only on the seed, the sentence's number, the sample and the step, and are independent."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from contract.combinations import Triple
from hypothesis import given
from hypothesis import strategies as st
from unit.search.markov import Markov, random_chain

from seq2seq.data.encoded import EncodedCorpus
from seq2seq.inference.corpus_decoding import best_hypotheses
from seq2seq.model.model import Model
from seq2seq.runtime.device import Runtime
from seq2seq.runtime.distributed import World
from seq2seq.search import workers
from seq2seq.search.base import Search
from seq2seq.search.decode import decode
from seq2seq.search.draws import GOLDEN, streams, uniforms
from seq2seq.search.minimum_risk import MinimumRiskSearch
from seq2seq.search.sampling import SamplingSearch
from seq2seq.types import BOS, EOS

# Other tests check the shapes; these decode many steps.
pytestmark = pytest.mark.usefixtures("without_shape_checks")

CPU = torch.device("cpu")
T = TypeVar("T")
DRAWING: dict[str, Any] = {
    "samples": 3,
    "temperature": 1.0,
    "top_k": None,
    "top_p": None,
    "seed": 1,
    "max_length": 6,
    "max_length_ratio": 1.0,
}
SEARCHES: dict[str, Search] = {
    "sampling": SamplingSearch(**DRAWING | {"top_p": 0.9}),
    "minimum_risk": MinimumRiskSearch(**DRAWING, beam_size=2, length_penalty=1.0, candidates="all"),
}


def splitmix(state: int, place: int) -> int:
    """The number at this place of the sequence, as in the paper's figure 15."""
    for _ in range(place + 1):
        state = (state + GOLDEN) % 2**64
    word = state
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB % 2**64
    return word ^ (word >> 31)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 300))
def test_a_stream_equals_split_mix(state: int, place: int) -> None:
    expected = ((splitmix(state % 2**64, place) >> 11) + 0.5) / 2**53
    assert uniforms(torch.tensor([state]), place).item() == expected


def test_split_mix_from_0_gives_the_known_numbers() -> None:
    assert [splitmix(0, place) for place in range(2)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


@pytest.mark.parametrize("seed", [0, 1, 2**63, 2**64 - 1, -1])
def test_numbers_are_uniform_and_uncorrelated(seed: int) -> None:
    """Over sentences, samples and steps, and between neighbours on each of these axes."""
    places = streams(seed, torch.arange(200), 20)
    assert len(places.unique()) == places.numel()
    drawn = torch.stack([uniforms(places, step) for step in range(50)], -1).numpy()  # 200,000
    assert drawn.min() > 0 and drawn.max() < 1
    counts = np.histogram(drawn, 100, (0, 1))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 160  # chi-square, 99 degrees of freedom: p = 1e-4
    for axis in range(3):
        means = drawn.mean(tuple(other for other in range(3) if other != axis))
        deviations = (means - 0.5) * np.sqrt(12 * drawn.size / drawn.shape[axis])
        assert abs(deviations).max() < 5
        ahead = np.moveaxis(drawn, axis, 0)
        for distance in (1, 2, 7):
            correlation = np.corrcoef(ahead[:-distance].ravel(), ahead[distance:].ravel())[0, 1]
            assert abs(correlation) < 5 / np.sqrt(ahead[distance:].size)
    others = torch.stack([uniforms(streams(seed + 1, torch.arange(200), 20), step) for step in range(50)])
    assert not len(np.intersect1d(drawn, others.numpy()))


def test_equal_lines_have_independent_samples() -> None:
    """2,000 equal lines in batches of 100: the first two tokens are as frequent as in the chain."""
    chain = random_chain(5)
    search = SamplingSearch(**DRAWING | {"samples": 1, "max_length_ratio": 20.0})
    found = decode(Markov(chain), search, [[5, 6]] * 2000, device=CPU, tokens_per_batch=300)
    counts = Counter(tuple([*one.tokens, EOS][:2]) for (one,) in found)
    expected = {
        (first, second): 2000 * float(chain[BOS, first] * (chain[first, second] if second else 1))
        for first in range(1, 6)
        for second in ([0] if first == EOS else [1, 3, 4, 5])
        if first != BOS
    }
    expected = {(EOS,) if first == EOS else (first, second): count for (first, second), count in expected.items()}
    assert sum(expected.values()) == pytest.approx(2000)
    square = sum((counts[pair] - count) ** 2 / count for pair, count in expected.items())
    assert square < 36  # chi-square, 12 degrees of freedom: p = 3e-4
    changed = sum(one != other for (one,), (other,) in pairwise(found))
    equal = sum((count / 2000) ** 2 for count in Counter(tuple(one.tokens) for (one,) in found).values())
    assert changed / 1999 == pytest.approx(1 - equal, abs=0.05)


@pytest.fixture
def threads() -> Iterator[None]:
    """Restores torch's number of threads after the test."""
    usual = torch.get_num_threads()
    yield
    torch.set_num_threads(usual)


@pytest.fixture(scope="module")
def model() -> Model:
    return Triple("transformer", "multihead", "transformer").model()


@pytest.mark.parametrize("name", SEARCHES)
def test_samples_do_not_depend_on_what_else_is_decoded(
    threads: None, model: Model, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor on the batch size, the order or the number of threads."""
    monkeypatch.setattr(workers, "OVERHEAD", 4)  # so that two workers are used
    search, random = SEARCHES[name], np.random.default_rng(0)
    sentences = [random.integers(4, 20, length).tolist() for length in (5, 3, 0, 7, 2)] + [[7, 8]] * 3
    torch.set_num_threads(1)

    def decoded(numbers: list[int], tokens_per_batch: int = 1000) -> dict[int, list[tuple[list[int], float]]]:
        chosen = [sentences[number] for number in numbers]
        found = decode(model, search, chosen, numbers=numbers, device=CPU, tokens_per_batch=tokens_per_batch)
        return {
            number: sorted((one.tokens, round(one.score, 9)) for one in hypotheses)
            for number, hypotheses in zip(numbers, found, strict=True)
        }

    everything = list(range(len(sentences)))
    expected = decoded(everything)
    assert decoded(everything, 6) == expected
    assert decoded([6, 3]) == {6: expected[6], 3: expected[3]}
    torch.set_num_threads(2)
    assert decoded(everything[::-1], 16) == expected
    assert expected[5] != expected[6] != expected[7]


class Share(World):
    """One of several processes; it keeps what it would send and receives no errors."""

    def all_reduce_max(self, value: float) -> float:
        return value

    def gather(self, value: T) -> list[T]:
        self.sent = value
        return [value] * self.size if self.is_main else []


def test_several_processes_draw_the_samples_of_one(model: Model) -> None:
    class Corpus(EncodedCorpus):
        def __init__(self) -> None:
            pass

        def source(self, number: int) -> list[int]:
            return [7, 8, 4 + number % 2]

        def __len__(self) -> int:
            return 7

    def drawn(rank: int, size: int) -> list[str]:
        world = Share(rank, size)
        runtime = Runtime(CPU, torch.float64)
        best_hypotheses(model, Corpus(), SEARCHES["sampling"], runtime, 12, world=world)
        return [one.tokens for one in world.sent]

    alone = drawn(0, 1)
    assert len({tuple(one) for one in alone}) == 7
    assert [drawn(rank, 3) for rank in range(3)] == [alone[rank::3] for rank in range(3)]
