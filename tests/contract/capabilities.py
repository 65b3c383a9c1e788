"""Writes docs/capabilities.md from the learning tests of one run (`make capabilities`): nothing in it is by hand."""

import platform
from collections import defaultdict
from pathlib import Path

import pytest
import torch
from contract.combinations import WIDTH, Triple, choices, further_choices, legal_triples, triples

from seq2seq.model.legality import problems

HEAD = """# What goes together

Written by `make capabilities`, never by hand: every legal encoder, attention and decoder was trained to write sequences
of up to three tokens backwards, {updates} updates at a width of {width}, and asked for unseen ones. A cell is the share
it answered without a mistake (chance: less than 0.003); of a recurrent decoder, the lowest of its four ways (attending
before or after the cell, with and without input feeding). Above 0.5 counts as learned. Two tokens were asked for of
`monotonic`, which may not go back, and without attention, where one vector must hold the sequence and 0.25 suffices.
`make test` trains a cover of the table in which any two parts meet, and checks the laws of `tests/contract/` for every
legal triple. A dash is a combination that is refused, for the reason below.

torch {torch}, Python {python}; {passed} of {tried} trainings passed.
"""


class Capabilities:
    """A pytest plugin: hears of each learning test, and writes the page when all have run."""

    def __init__(self, page: Path) -> None:
        self.page = page
        self.shares: dict[str, float] = {}
        self.passed: set[str] = set()
        self.updates = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a learning test measured."""
        heard = dict(report.user_properties)
        if report.when == "call" and "triple" in heard:
            self.shares[str(heard["triple"])] = float(str(heard["share"]))
            self.updates = int(str(heard["updates"]))
            if report.passed:
                self.passed.add(str(heard["triple"]))

    def pytest_sessionfinish(self) -> None:
        """Write the page; an interrupted run leaves the old one."""
        legal = legal_triples()
        if all(str(triple) in self.shares for triple in [*legal, *further_choices()]):
            self.page.write_text(self._text(legal), encoding="utf-8")

    def _text(self, legal: list[Triple]) -> str:
        head = HEAD.format(
            updates=self.updates,
            width=WIDTH,
            torch=torch.__version__.split("+")[0],
            python=platform.python_version(),
            passed=len(self.passed),
            tried=len(self.shares),
        )
        reasons = {line for triple in triples() for line in problems(triple.settings())}
        refused = "\n".join(f"- {line}" for line in sorted(reasons))
        tables = "\n".join(self._table(decoder, legal) for decoder in choices("decoder"))
        return f"{head}\n{tables}\n{self._further()}\n## Refused\n\n{refused}\n"

    def _table(self, decoder: str, legal: list[Triple]) -> str:
        """One decoder: attentions by encoders."""
        ways = defaultdict(list)
        for triple in legal:
            if triple.decoder == decoder:
                ways[triple.attention, triple.encoder].append(str(triple))
        encoders = choices("encoder")
        lines = [
            f"## Decoder: {decoder}\n",
            f"| attention | {' | '.join(f'encoder {name}' for name in encoders)} |",
            f"|---|{'---|' * len(encoders)}",
        ]
        for attention in choices("attention"):
            cells = [self._cell(ways[attention, encoder]) for encoder in encoders]
            lines.append(f"| {attention} | {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"

    def _further(self) -> str:
        """The choices of the other groups, each in one combination."""
        lines = ["## Other choices\n", "| choice | trained in | share |", "|---|---|---|"]
        for triple in further_choices():
            chosen = " ".join(f"{group}={name}" for group, name in triple.others)
            within = f"{triple.encoder}, {triple.attention}, {triple.decoder}"
            lines.append(f"| {chosen} | {within} | {self._cell([str(triple)])} |")
        return "\n".join(lines) + "\n"

    def _cell(self, names: list[str]) -> str:
        if not names:
            return "–"
        share = f"{min(self.shares[name] for name in names):.2f}"
        return share if all(name in self.passed for name in names) else f"{share}, not learned"
