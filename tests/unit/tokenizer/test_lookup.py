import numpy as np
import pytest

from seq2seq.tokenizer.draws import keys_below, keys_of, uniform
from seq2seq.tokenizer.lookup import Lookup


@pytest.mark.parametrize("count", [0, 1, 7, 5000])
def test_a_lookup_equals_a_dictionary(count: int):
    """Dense keys (0, 2, 4 …), scattered ones, and as many missing ones."""
    scattered = np.random.default_rng(1).integers(0, 1 << 62, 2 * count).tolist()
    table = {key: number for number, key in enumerate([*range(0, 2 * count, 2), *scattered[:count]])}
    queries = [*range(2 * count + 3), *scattered]
    assert Lookup(table, missing=-7)(np.array(queries)).tolist() == [table.get(key, -7) for key in queries]


def test_draws_are_uniform_uncorrelated_and_set_by_key_and_number():
    keys = keys_of(3, 1, count=20_000)
    draws = np.stack([uniform(keys, number) for number in range(2)] + [uniform(keys_below(keys, keys * 0), 0)])
    assert (draws > 0).all() and (draws < 1).all()
    assert np.abs(np.histogram(draws, bins=10, range=(0, 1))[0] / draws.size - 0.1).max() < 0.004
    assert np.abs(np.corrcoef(draws) - np.eye(3)).max() < 0.03
    assert np.abs(np.corrcoef(draws[:, :-1], draws[:, 1:])[:3, 3:]).max() < 0.03
    assert (keys_of(3, 1, count=5, first=100) == keys[100:105]).all()
    assert not np.isin(keys_of(3, 2, count=100), keys).any()
