"""Losses are tested as a CPU computes them and as a GPU does."""

from typing import Any

import pytest

from seq2seq.layers import unpad


@pytest.fixture(params=["padding left out", "padding masked"], autouse=True)
def both_ways(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpad, "selects", lambda mask: request.param == "padding left out")
