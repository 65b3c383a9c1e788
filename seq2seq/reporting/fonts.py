"""Fonts for figures: matplotlib has only DejaVu; characters that it lacks come from installed fonts."""

import logging
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from functools import cache

log = logging.getLogger(__name__)

DEFAULT = "DejaVu Sans"
REGULAR = 400  # the weight
CJK = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO")  # how the Unicode names of such letters begin


def fonts_for(texts: Iterable[str]) -> list[str]:
    """DejaVu Sans and, for letters of the texts that it lacks, installed fonts; matplotlib tries them in this order.

    Letters that no font has are drawn as boxes; the first time, a warning names what to install.
    """
    of_default = _letters_of(_path_of_default())
    lacking = dict.fromkeys(letter for text in texts for letter in text if ord(letter) not in of_default)
    lent = {letter: _font_with(letter) for letter in lacking if not letter.isspace()}
    for letter, name in lent.items():
        if name is None and unicodedata.category(letter)[0] in "LM":
            _warn(_package_with(letter))
    return [DEFAULT, *dict.fromkeys(name for name in lent.values() if name is not None)]


@cache
def _font_with(letter: str) -> str | None:
    """The name of an installed font that has the letter."""
    return next((name for name, path in _installed() if ord(letter) in _letters_of(path)), None)


@cache
def _installed() -> list[tuple[str, str]]:
    """Names and paths of upright fonts of regular weight: those without serifs first, the Noto family before others."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    known = {entry.fname for entry in manager.ttflist}
    for path in sorted(set(font_manager.findSystemFonts()) - known):  # matplotlib's own list may be months old
        with suppress(RuntimeError, OSError):  # not all of them are fonts that it can draw
            manager.addfont(path)
    regular = {
        (entry.name, entry.fname)
        for entry in manager.ttflist
        if entry.style == "normal" and entry.weight == REGULAR and entry.size == "scalable"
    }
    usable = [font for font in regular if not any(word in font[0] for word in ("Last Resort", "LastResort", "Emoji"))]
    return sorted(usable, key=lambda font: (not font[0].startswith("Noto Sans"), "Sans" not in font[0], font))


@cache
def _letters_of(path: str) -> frozenset[int]:
    """The code points that a font file has; none if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    with suppress(RuntimeError, OSError):
        return frozenset(FT2Font(path).get_charmap())
    return frozenset()


@cache
def _path_of_default() -> str:
    from matplotlib import font_manager

    return str(font_manager.findfont(DEFAULT))


def _package_with(letter: str) -> str:
    """A package of fonts that has the letter, as Debian and Ubuntu name it."""
    return "fonts-noto-cjk" if unicodedata.name(letter, "").startswith(CJK) else "fonts-noto-core"


@cache
def _warn(package: str) -> None:
    """Warn once per package."""
    log.warning(
        "figures show boxes for some characters, because no installed font has them; install fonts, for example the "
        "package %s",
        package,
    )
