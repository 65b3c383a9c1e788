"""Formatting of dates, amounts, names and lists in one locale, by Babel (Unicode CLDR)."""

import datetime
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from babel import Locale, dates, lists, numbers, units

Style = Literal["full", "long", "medium", "short"]


class LocaleFormatter:
    """Formats dates, amounts, names and lists in one locale."""

    def __init__(self, locale: str) -> None:
        self.locale = Locale.parse(locale)

    def date(self, day: datetime.date, style: Style) -> str:
        """'Friday, March 5, 2021' and shorter."""
        return dates.format_date(day, style, self.locale)

    def time(self, time: datetime.time) -> str:
        """'3:04 PM'."""
        return dates.format_time(time, "short", locale=self.locale)

    def interval(self, first: datetime.date, last: datetime.date) -> str:
        """'Mar 5 – 7, 2021'."""
        return dates.format_interval(first, last, "yMMMd", locale=self.locale)

    def ago(self, seconds: int) -> str:
        """'3 hours ago' for negative seconds, 'in 3 hours' for positive ones."""
        return dates.format_timedelta(datetime.timedelta(seconds=seconds), add_direction=True, locale=self.locale)

    def amount(self, value: Decimal, unit: str) -> str:
        """'12.5 kilometers'."""
        return units.format_unit(value, unit, "long", locale=self.locale)

    def price(self, value: Decimal, currency: str, *, by_name: bool) -> str:
        """'1,234.50 US dollars' or '$1,234.50'."""
        kind: Literal["name", "standard"] = "name" if by_name else "standard"
        return numbers.format_currency(value, currency, locale=self.locale, format_type=kind)

    def share(self, value: Decimal) -> str:
        """'45.3%'."""
        return numbers.format_percent(value, locale=self.locale, decimal_quantization=False)

    def country(self, code: str) -> str:
        """'Germany'."""
        return self.locale.territories[code]

    def language(self, code: str) -> str:
        """'German'."""
        return self.locale.languages[code]

    def currency(self, code: str) -> str:
        """'US Dollar'."""
        return self.locale.currencies[code]

    def listing(self, items: Sequence[str], style: Literal["standard", "or"]) -> str:
        """'a, b and c'."""
        return lists.format_list(items, style, self.locale)
