"""The size of a campaign of faults: a few trials in `make test`, all of them in `make test-faults`."""

import json
from dataclasses import dataclass

import pytest
from fault_table import COUNT


@dataclass(frozen=True)
class Campaign:
    """One test's share of the fault injection."""

    request: pytest.FixtureRequest

    @property
    def whole(self) -> bool:
        """Whether all trials are made."""
        return bool(self.request.config.getoption("faults"))

    def trials(self, whole: int, *, fast: int) -> int:
        """How many trials to make."""
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
