"""The content of the embedded sentences: random phrases that a LocaleFormatter can write in its locale."""

import datetime
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from babel.numbers import get_territory_currencies
from babel.units import UnknownUnitError

from seq2seq.data.embedded.cldr_locale import LocaleFormatter, Style

Phrase = Callable[[LocaleFormatter], str]

UNITS = {
    "area": ("hectare", "square-kilometer", "square-meter"),
    "digital": ("gigabyte", "megabyte"),
    "duration": ("second", "minute", "hour", "day", "week", "month", "year"),
    "energy": ("joule", "kilocalorie", "kilowatt-hour"),
    "frequency": ("megahertz",),
    "length": ("millimeter", "centimeter", "meter", "kilometer", "mile", "light-year"),
    "mass": ("milligram", "gram", "kilogram", "tonne"),
    "power": ("watt", "kilowatt", "horsepower"),
    "pressure": ("hectopascal",),
    "speed": ("kilometer-per-hour", "knot", "meter-per-second"),
    "temperature": ("celsius", "fahrenheit"),
    "volume": ("milliliter", "liter", "cubic-meter"),
}
STEPS = {1: 59, 60: 59, 3600: 23, 86400: 6, 7 * 86400: 3, 30 * 86400: 11, 365 * 86400: 30}  # seconds: most of them
NO_COUNTRIES = {"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"}
DAY_ZERO = datetime.date(1950, 1, 1)
DAYS = 36525  # up to the end of 2049: within 100 years, so that the two digits of a short date are unambiguous
DATE_STYLES: tuple[Style, ...] = ("full", "long", "medium", "short")


@dataclass(frozen=True)
class Names:
    """CLDR codes with an unambiguous name in every formatter's locale."""

    countries: list[str]
    languages: list[str]
    currencies: list[str]
    units: list[str]


def common_names(formatters: Sequence[LocaleFormatter]) -> Names:
    """The codes that all formatters can name."""
    locale = formatters[0].locale
    countries = [code for code in map(str, locale.territories) if len(code) == 2 and code not in NO_COUNTRIES]
    languages = [code for code in map(str, locale.languages) if len(code) == 2]
    in_use = datetime.date(2020, 1, 1)
    currencies = {code for country in countries for code in get_territory_currencies(country, start_date=in_use)}

    def nameable(codes: Iterable[str], name: Callable[[LocaleFormatter, str], str]) -> list[str]:
        return sorted(set.intersection(*(_unambiguous(codes, name, formatter) for formatter in formatters)))

    return Names(
        countries=nameable(countries, LocaleFormatter.country),
        languages=nameable(languages, LocaleFormatter.language),
        currencies=nameable(currencies, LocaleFormatter.currency),
        units=nameable(
            [f"{kind}-{unit}" for kind in UNITS for unit in UNITS[kind]],
            lambda formatter, unit: formatter.amount(Decimal(2), unit),
        ),
    )


def _unambiguous(
    codes: Iterable[str], name: Callable[[LocaleFormatter, str], str], formatter: LocaleFormatter
) -> set[str]:
    named = {}
    for code in codes:
        try:
            named[code] = name(formatter, code)
        except (KeyError, UnknownUnitError):  # this locale has no name for it
            continue
    uses = Counter(named.values())
    return {code for code, word in named.items() if uses[word] == 1}


class SentenceSampler:
    """Samples phrases. Their content is chosen before it is formatted, so that all formatters write the same
    content."""

    def __init__(self, names: Names, draw: random.Random) -> None:
        self.names = names
        self.draw = draw
        self.parts = (self.date, self.interval, self.moment, self.ago, self.amount, self.price, self.share)

    def sentence(self) -> Phrase:
        """One to three phrases, with language-independent punctuation between them."""
        phrases = self.draw.sample((self.places, self.tongues, self.things, self.date, self.moment), 3)
        frame = self.draw.choice(("{0}", "{0}: {1}", "{0} ({1})", "{0} – {1}", "{0} / {1}", "{0}: {1} ({2})"))
        parts = [phrase() for phrase in phrases[: frame.count("{")]]
        return lambda formatter: frame.format(*(phrase(formatter) for phrase in parts))

    def places(self) -> Phrase:
        """'Germany, France, and Italy'."""
        codes = self.draw.sample(self.names.countries, self._few(self.names.countries))
        return self._listing([self._named(LocaleFormatter.country, code) for code in codes])

    def tongues(self) -> Phrase:
        """'German, French, or Italian'."""
        codes = self.draw.sample(self.names.languages, self._few(self.names.languages))
        return self._listing([self._named(LocaleFormatter.language, code) for code in codes])

    def things(self) -> Phrase:
        """'3 hours ago, 12.5 kilometers, and $40.00'."""
        return self._listing([self.draw.choice(self.parts)() for _ in range(self.draw.randint(1, 3))])

    def date(self) -> Phrase:
        """'Friday, March 5, 2021'."""
        day, style = self._day(), self.draw.choice(DATE_STYLES)
        return lambda formatter: formatter.date(day, style)

    def interval(self) -> Phrase:
        """'Mar 5 – 7, 2021'."""
        first = self._day()
        last = first + datetime.timedelta(days=self.draw.randint(1, 90))
        return lambda formatter: formatter.interval(first, last)

    def moment(self) -> Phrase:
        """'March 5, 2021, 3:04 PM'."""
        day, style = self._day(), self.draw.choice(DATE_STYLES[:2])
        time = datetime.time(self.draw.randrange(24), self.draw.randrange(60))
        return lambda formatter: f"{formatter.date(day, style)}, {formatter.time(time)}"

    def ago(self) -> Phrase:
        """'in 3 hours' or '3 hours ago'."""
        step = self.draw.choice(list(STEPS))
        seconds = step * self.draw.randint(1, STEPS[step]) * self.draw.choice((-1, 1))
        return lambda formatter: formatter.ago(seconds)

    def amount(self) -> Phrase:
        """'12.5 kilometers'; a percentage if the formatters have no units in common."""
        if not self.names.units:
            return self.share()
        value, unit = self._number(), self.draw.choice(self.names.units)
        return lambda formatter: formatter.amount(value, unit)

    def price(self) -> Phrase:
        """'$1,234.50' or '1,234.50 US dollars'."""
        if not self.names.currencies:
            return self.share()
        value, currency = self._number(), self.draw.choice(self.names.currencies)
        by_name = self.draw.random() < 0.7
        return lambda formatter: formatter.price(value, currency, by_name=by_name)

    def share(self) -> Phrase:
        """'45.3%'."""
        value = Decimal(self.draw.randint(1, 1000)) / 1000
        return lambda formatter: formatter.share(value)

    def _named(self, name: Callable[[LocaleFormatter, str], str], code: str) -> Phrase:
        return lambda formatter: name(formatter, code)

    def _listing(self, items: Sequence[Phrase]) -> Phrase:
        style: Literal["standard", "or"] = "or" if self.draw.random() < 0.3 else "standard"
        return lambda formatter: formatter.listing([item(formatter) for item in items], style)

    def _few(self, names: Sequence[str]) -> int:
        return min(self.draw.randint(1, 4), len(names))

    def _day(self) -> datetime.date:
        return DAY_ZERO + datetime.timedelta(days=self.draw.randrange(DAYS))

    def _number(self) -> Decimal:
        """Mostly small, sometimes with a fraction."""
        whole = self.draw.randrange(1, 10 ** self.draw.randint(1, 4))
        return Decimal(whole) + (Decimal(self.draw.randint(1, 9)) / 10 if self.draw.random() < 0.25 else 0)
