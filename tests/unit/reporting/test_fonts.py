"""Letters that matplotlib's font lacks come from an installed one; letters that no font has are reported once."""

from collections.abc import Iterator

import pytest

from seq2seq.reporting import fonts
from seq2seq.reporting.fonts import DEFAULT, fonts_for

LETTERS = {"default": "abcé", "cjk": "a漢字かな한", "indic": "aनमस्ते", "broken": ""}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """The fonts that count as installed, by name and path."""
    found = [("Broken", "broken"), ("Some CJK", "cjk"), ("Some Indic", "indic")]
    for cached in (fonts._font_with, fonts._warn):
        cached.cache_clear()
    monkeypatch.setattr(fonts, "_installed", lambda: found)
    monkeypatch.setattr(fonts, "_path_of_default", lambda: "default")
    monkeypatch.setattr(fonts, "_letters_of", lambda path: frozenset(map(ord, LETTERS[path])))
    yield found
    for cached in (fonts._font_with, fonts._warn):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        ([], []),
        (["abc", "é a"], []),
        (["漢字", "a"], ["Some CJK"]),
        (["नमस्ते"], ["Some Indic"]),
        (["한", "न", "字"], ["Some CJK", "Some Indic"]),
    ],
)
def test_installed_fonts_supply_what_the_default_lacks(
    texts: list[str], names: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert fonts_for(texts) == [DEFAULT, *names]
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("text", "package"),
    [("漢", "fonts-noto-cjk"), ("か", "fonts-noto-cjk"), ("한", "fonts-noto-cjk"), ("म", "fonts-noto-core")],
)
def test_letters_that_no_font_has_are_reported_once(
    installed: list[tuple[str, str]], text: str, package: str, caplog: pytest.LogCaptureFixture
) -> None:
    installed.clear()
    for _ in range(3):
        assert fonts_for([text, f"{text} abc"]) == [DEFAULT]
    [message] = caplog.messages
    assert message.endswith(f"install fonts, for example the package {package}")


def test_symbols_need_no_other_font(caplog: pytest.LogCaptureFixture) -> None:
    assert fonts_for(["\U0001f642 \u2003"]) == [DEFAULT]
    assert caplog.messages == []
