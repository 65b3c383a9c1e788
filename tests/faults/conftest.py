"""The size of a campaign of faults: a few trials in `make test`, all of them in `make test-faults`."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest
from fault_table import COUNT
from faults.trials import Reference, reference

Undisturbed = Callable[[str], Reference]


@dataclass(frozen=True)
class Campaign:
    """One test's share of the fault injection."""

    request: pytest.FixtureRequest

    @property
    def whole(self) -> bool:
        """Whether all trials are made."""
        return bool(self.request.config.getoption("faults"))

    def trials(self, whole: int, *, fast: int) -> int:
        """How many trials to make; the test is skipped where there are none."""
        if not self.whole and not fast:
            pytest.skip("make test-faults runs it")
        return whole if self.whole else fast

    def report(self, name: str, **counts: int) -> None:
        """A row of the table at the end: what was done, and how often what came of it.

        Call it before any assertion on the counts, so that a failing campaign is in the table, too.
        """
        self.request.node.user_properties.append((COUNT + name, json.dumps(counts)))


@pytest.fixture
def campaign(request: pytest.FixtureRequest) -> Campaign:
    """The size of this test's campaign, and its row in the table."""
    return Campaign(request)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """The undisturbed training of a kind."""
    return cache(lambda kind: reference(kind, tmp_path_factory.mktemp("undisturbed") / "it"))
