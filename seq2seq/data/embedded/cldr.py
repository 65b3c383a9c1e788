"""Translation pairs written by Babel from the Unicode CLDR: no download, any two of its locales."""

import hashlib
import random
import sys
from collections.abc import Iterator

from seq2seq.data.text import TextData, suggestion
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Pair

FORMAT = 1  # raise it whenever this code writes other sentences: runs and caches depend on it
DRAWN_FIRST = ("test", "valid", "train")  # so that a larger train does not change valid and test
FRUITLESS = 1000  # consecutive phrases without a new one before an error


class CLDR(TextData):
    """Sentences of dates, times, amounts, prices, countries, languages and relative times, in two languages.

    A sentence consists of phrases, chosen by a seeded generator and written in both locales. The same source never has
    two targets, and no two pairs, of one split or of two, share a source or a target. The train, valid and test
    arguments are numbers of pairs. Raises ConfigError for a locale that Babel does not have.
    """

    def __init__(
        self,
        *,
        source_language: str,
        target_language: str,
        train: int,
        valid: int,
        test: int,
        seed: int,
        source_prefix: str = "",
        target_prefix: str = "",
    ) -> None:
        self.locales = (source_language, target_language)
        self.sizes = {"train": train, "valid": valid, "test": test}
        self.seed = seed
        self.source_prefix, self.target_prefix = source_prefix, target_prefix
        problems = _locale_problems("source_language", source_language)
        problems += _locale_problems("target_language", target_language)
        problems += [f"data.{name} must be at least 1, not {size}" for name, size in self.sizes.items() if size < 1]
        if problems:
            raise ConfigError("\n".join(problems))

    def splits(self) -> tuple[str, ...]:
        """'train', 'valid' and 'test'."""
        return tuple(self.sizes)

    def read(self, split: str) -> Iterator[Pair]:
        """The split's pairs. Raises DataError if there are not enough different sentences."""
        self.check_split(split)
        sources: set[str] = set()
        targets: set[str] = set()
        for name in DRAWN_FIRST:
            fresh = self._fresh_pairs(name, sources, targets)
            if name == split:
                yield from fresh
                return
            for _ in fresh:
                pass

    def fingerprint(self, split: str) -> str:
        """A hash of the settings, of Babel's and Python's versions, and of FORMAT."""
        self.check_split(split)
        import babel

        origin = (FORMAT, split, self.locales, self.sizes, self.seed, babel.__version__, sys.version_info[:2])
        return hashlib.sha256(repr(origin).encode()).hexdigest()

    def _fresh_pairs(self, split: str, sources: set[str], targets: set[str]) -> Iterator[Pair]:
        """The new pairs of the split; they are added to `sources` and `targets`."""
        from seq2seq.data.embedded.cldr_locale import LocaleFormatter
        from seq2seq.data.embedded.cldr_phrases import SentenceSampler, common_names

        formatters = [LocaleFormatter(locale) for locale in self.locales]
        sampler = SentenceSampler(common_names(formatters), random.Random(f"{self.seed} {split}"))
        found = fruitless = 0
        while found < self.sizes[split]:
            phrase = sampler.sentence()
            source, target = (phrase(formatter) for formatter in formatters)
            if source in sources or target in targets:
                fruitless += 1
                if fruitless == FRUITLESS:
                    sizes = " + ".join(f"{size:,}" for size in self.sizes.values())
                    raise DataError(f"{' to '.join(self.locales)} has fewer than {sizes} sentences; ask for fewer")
                continue
            found, fruitless = found + 1, 0
            sources.add(source)
            targets.add(target)
            yield Pair(source, target)


def _locale_problems(key: str, name: str) -> list[str]:
    from babel import Locale, UnknownLocaleError, localedata

    try:
        Locale.parse(name)
    except (ValueError, UnknownLocaleError):
        known = sorted(localedata.locale_identifiers(), key=lambda known: (len(known), known))
        return [f"data.{key}: Babel has no locale '{name}'{suggestion(name.replace('-', '_'), known)}"]
    return []
