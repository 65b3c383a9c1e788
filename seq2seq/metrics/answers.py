"""Answers as they are compared: Rajpurkar et al. (2016), arXiv:1606.05250, section 6.1, as in SQuAD's own script."""

import re
import string
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal

Punctuation = Literal["ascii", "unicode", "none"]


class _Unicode(dict[int, int | None]):
    """Maps the ASCII punctuation and every other character of Unicode's punctuation (categories P*) to nothing."""

    def __missing__(self, code: int) -> int | None:
        removed = chr(code) in string.punctuation or unicodedata.category(chr(code)).startswith("P")
        self[code] = None if removed else code
        return self[code]


REMOVED: Mapping[str, Mapping[int, int | None]] = {
    "ascii": dict.fromkeys(map(ord, string.punctuation)),
    "unicode": _Unicode(),
    "none": {},
}


class AnswerForm:
    """What counts in an answer. SQuAD lower-cases it, removes the ASCII punctuation, then the words a, an and the, and
    joins the rest with single spaces; each of these steps can be left out.

    `metric` names the metric in messages. Raises ValueError if an article is not one word.
    """

    def __init__(
        self,
        metric: str,
        *,
        lowercase: bool,
        remove_punctuation: Punctuation,
        remove_articles: Sequence[str],
        join_spaces: bool = True,
    ) -> None:
        if wrong := [word for word in remove_articles if not re.fullmatch(r"\w+", word)]:
            raise ValueError(f"metrics.{metric}.remove_articles: expected single words, got {wrong[0]!r}")
        self.lowercase, self.remove_punctuation, self.join_spaces = lowercase, remove_punctuation, join_spaces
        self.articles = tuple(remove_articles)
        self._article = re.compile(rf"\b({'|'.join(self.articles)})\b") if self.articles else None

    def __call__(self, text: str) -> str:
        """The answer as it is compared."""
        text = text.lower() if self.lowercase else text
        text = text.translate(REMOVED[self.remove_punctuation])
        text = self._article.sub(" ", text) if self._article else text
        return " ".join(text.split()) if self.join_spaces else text

    def signature(self) -> str:
        """The steps, as 'key:value|key:value'."""
        removed = "kept" if self.remove_punctuation == "none" else f"{self.remove_punctuation}-removed"
        articles = f"{'+'.join(self.articles)}-removed" if self.articles else "kept"
        spaces = "single" if self.join_spaces else "kept"
        return f"case:{'lc' if self.lowercase else 'mixed'}|punct:{removed}|articles:{articles}|space:{spaces}"
