import datetime
import subprocess
import sys
from decimal import Decimal

import pytest

from seq2seq.data.embedded.cldr import CLDR
from seq2seq.data.embedded.cldr_locale import LocaleFormatter
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Pair


def cldr(source: str = "en", target: str = "de", **given: int) -> CLDR:
    return CLDR(
        source_language=source, target_language=target, **{"train": 300, "valid": 50, "test": 40, "seed": 1} | given
    )


EXAMPLES = [
    ("date", (datetime.date(2021, 3, 5), "full"), "Friday, March 5, 2021", "Freitag, 5. März 2021"),
    ("date", (datetime.date(2021, 3, 5), "short"), "3/5/21", "05.03.21"),
    ("time", (datetime.time(15, 4),), "3:04\u202fPM", "15:04"),
    ("ago", (-3 * 3600,), "3 hours ago", "vor 3 Stunden"),
    ("ago", (86400,), "in 1 day", "in 1 Tag"),
    ("amount", (Decimal("12.5"), "length-kilometer"), "12.5 kilometers", "12,5 Kilometer"),
    ("share", (Decimal("0.453"),), "45.3%", "45,3\xa0%"),
    ("country", ("DE",), "Germany", "Deutschland"),
    ("language", ("fr",), "French", "Französisch"),
    ("listing", (["a", "b", "c"], "standard"), "a, b, and c", "a, b und c"),
    ("listing", (["a", "b"], "or"), "a or b", "a oder b"),
]


@pytest.mark.parametrize(("what", "arguments", "english", "german"), EXAMPLES)
def test_formatter_writes_in_its_language(what: str, arguments: tuple, english: str, german: str):
    assert [getattr(LocaleFormatter(locale), what)(*arguments) for locale in ("en", "de")] == [english, german]


def test_splits_have_their_sizes_and_share_no_sentence():
    data = cldr()
    pairs = {split: list(data.read(split)) for split in data.splits()}
    assert {split: len(found) for split, found in pairs.items()} == {"train": 300, "valid": 50, "test": 40}
    for side in ("source", "target"):
        texts = [getattr(pair, side) for found in pairs.values() for pair in found]
        assert len(set(texts)) == len(texts)


def test_thousands_of_sentences_have_typical_lengths():
    data = cldr(train=4000)
    pairs = list(data.read("train"))
    words = [len(pair.source.split()) for pair in pairs]
    assert len({pair.source for pair in pairs}) == len({pair.target for pair in pairs}) == 4000
    assert 8 < sum(words) / len(words) < 12 and max(words) < 40


def test_larger_train_does_not_change_valid_and_test():
    for split in ("valid", "test"):
        assert list(cldr().read(split)) == list(cldr(train=500).read(split))
    assert list(cldr().read("train")) == list(cldr(train=500).read("train"))[:300]


def test_only_the_seed_changes_the_sentences():
    assert list(cldr().read("train")) == list(cldr().read("train"))
    ours, theirs = ({pair.source for pair in cldr(seed=seed).read("train")} for seed in (1, 2))
    assert len(ours & theirs) < 30


def test_another_process_generates_the_same_pairs():
    script = "from seq2seq.data.embedded.cldr import CLDR; import sys; sys.stdout.reconfigure(encoding='utf-8');"
    script += "d = CLDR(source_language='en', target_language='de', train=300, valid=50, test=40, seed=1);"
    script += "print(d.fingerprint('train'), [p.target for p in d.read('train')])"
    output = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONHASHSEED": "5"}, capture_output=True, check=True
    )
    expected = f"{cldr().fingerprint('train')} {[pair.target for pair in cldr().read('train')]}\n"
    assert output.stdout.decode() == expected


@pytest.mark.parametrize(
    ("source", "target"), [("fr", "ja"), ("ar", "cs"), ("pt_BR", "zh_Hant_TW"), ("naq", "en_GB"), ("sr_Latn", "hi")]
)
def test_any_two_locales_work(source: str, target: str):
    pairs = list(cldr(source, target).read("train"))
    assert len(pairs) == 300 and all(pair.source and pair.target for pair in pairs)


def test_source_does_not_depend_on_the_target_language():
    english = [pair.source for pair in cldr("en", "de").read("test")]
    assert [pair.source for pair in cldr("en", "fr").read("test")] == english


def test_different_settings_have_different_fingerprints():
    variants = [cldr(), cldr(seed=2), cldr(train=301), cldr("de", "en"), cldr("en", "fr")]
    assert len({data.fingerprint("train") for data in variants} | {cldr().fingerprint("valid")}) == 6


def test_all_mistakes_are_reported_at_once():
    with pytest.raises(ConfigError) as error:
        cldr("en-US", "germn", valid=0)
    lines = str(error.value).split("\n")
    assert lines[0].startswith("data.source_language: Babel has no locale 'en-US': did you mean 'en_US'?")
    assert lines[1].startswith("data.target_language: Babel has no locale 'germn'")
    assert lines[2] == "data.valid must be at least 1, not 0"


def test_too_few_sentences_are_reported(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        "seq2seq.data.embedded.cldr_phrases.SentenceSampler.sentence",
        lambda self: lambda formatter: self.draw.choice("abc"),
    )
    with pytest.raises(DataError, match=r"en to de has fewer than 300 \+ 50 \+ 40 sentences; ask for fewer"):
        list(cldr().read("train"))


def test_direction_changes_the_pairs():
    assert next(cldr("de", "en").read("train")) != next(cldr("en", "de").read("train"))
    assert isinstance(next(cldr().read("test")), Pair)
