"""sacreBLEU's test sets: read from a cache that its own classes have made, and never downloaded."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sacrebleu.dataset import DATASETS, base
from sacrebleu.utils import get_reference_files, get_source_file

from seq2seq.data.sacrebleu import SacrebleuTestSet
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Pair

SGML = '<srcset setid="t" srclang="any">\n<doc docid="d" origlang="de">\n{}</doc>\n</srcset>\n'
XML = """<?xml version='1.0' encoding='utf-8'?>
<dataset id="t"><collection id="c"><doc origlang="cs" id="d">
<src lang="cs"><p><seg id="1">Ahoj</seg><seg id="2">světe</seg></p></src>
<ref lang="en" translator="B"><p><seg id="1">Hi</seg><seg id="2">earth</seg></p></ref>
<ref lang="en" translator="A"><p><seg id="1">Hello</seg><seg id="2">world</seg></p></ref>
</doc></collection></dataset>
"""


def sgml(*lines: str) -> str:
    """A file of the older sets of WMT."""
    return SGML.format("".join(f'<seg id="{number}">{line}</seg>\n' for number, line in enumerate(lines, start=1)))


Fill = Callable[[str, str, dict[str, str]], SacrebleuTestSet]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of sacreBLEU; every attempt to download fails the test."""
    for name, dataset in DATASETS.items():
        monkeypatch.setattr(dataset, "_outdir", str(tmp_path / name))
        monkeypatch.setattr(dataset, "_rawdir", str(tmp_path / name / "raw"))
    monkeypatch.setattr(base, "download_file", lambda url, *_, **__: pytest.fail(f"{url} was fetched"))
    return tmp_path


@pytest.fixture
def fill(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Fill:
    """Puts raw files into the cache and has sacreBLEU make its own files of them, as after a download."""

    def fill(test_set: str, pair: str, raw: dict[str, str]) -> SacrebleuTestSet:
        dataset = DATASETS[test_set]
        for name, text in raw.items():
            path = cache / test_set / "raw" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        with monkeypatch.context() as patched:
            patched.setattr(dataset, "maybe_download", lambda: None)
            dataset.process_to_text(pair)
        return SacrebleuTestSet(test_set=test_set, pair=pair)

    return fill


TWO = {
    "sgm/newstest2020-deen-src.de.sgm": sgml(" Ein  Hund. ", "Zwei\u2028Katzen"),
    "sgm/newstest2020-deen-ref.en.sgm": sgml("A dog.", "Two cats"),
    "sgm/newstestB2020-deen-ref.en.sgm": sgml("One dog.", "A pair of cats"),
}


@pytest.mark.parametrize(
    ("test_set", "pair", "raw", "expected"),
    [
        (
            "wmt20/tworefs",
            "de-en",
            TWO,
            [
                Pair("Ein Hund.", "A dog.", ("A dog.", "One dog.")),
                Pair("Zwei Katzen", "Two cats", ("Two cats", "A pair of cats")),
            ],
        ),
        (
            "wmt14",
            "cs-en",
            {
                "test/newstest2014-csen-src.cs.sgm": sgml("Ahoj", ""),
                "test/newstest2014-csen-ref.en.sgm": sgml("Hello", "&amp;"),
            },
            [Pair("Ahoj", "Hello"), Pair("", "&amp;")],
        ),
        (
            "multi30k/2016",
            "en-de",
            {"test_2016_flickr.en": "a\u2028dog \r\n\ntwo\n", "test_2016_flickr.de": "ein Hund\n\nzwei\n"},
            [Pair("a\u2028dog", "ein Hund"), Pair("", ""), Pair("two", "zwei")],
        ),
        (
            "mtnt1.1/test",
            "en-fr",
            {"MTNT/test/test.en-fr.tsv": "1\ta dog\tun chien\n2\ttwo\tdeux\n"},
            [Pair("a dog", "un chien"), Pair("two", "deux")],
        ),
        (
            "wmt21/AB",
            "cs-en",
            {"test/newstest2021.cs-en.xml": XML},
            [Pair("Ahoj", "Hello", ("Hello", "Hi")), Pair("světe", "world", ("world", "earth"))],
        ),
        (
            "wmt21/B",
            "cs-en",
            {"test/newstest2021.cs-en.xml": XML},
            [Pair("Ahoj", "Hi"), Pair("světe", "earth")],
        ),
    ],
)
def test_what_sacrebleu_has_stored_is_read(
    fill: Fill, test_set: str, pair: str, raw: dict[str, str], expected: list[Pair]
) -> None:
    assert list(fill(test_set, pair, raw).read("test")) == expected


def test_the_texts_are_those_that_sacrebleu_scores_against(fill: Fill) -> None:
    data = fill("wmt20/tworefs", "de-en", TWO)
    files = [get_source_file("wmt20/tworefs", "de-en"), *get_reference_files("wmt20/tworefs", "de-en")]
    assert [str(path) for path in data.files("test")] == files
    rows = zip(
        *([line.strip() for line in Path(file).read_bytes().decode().split("\n")[:-1]] for file in files), strict=True
    )
    assert [(pair.source, *pair.references) for pair in data.read("test")] == list(rows)


def test_only_the_command_of_sacrebleu_downloads(cache: Path) -> None:
    for test_set, pair in (("wmt14/full", "de-en"), ("wmt21/AB", "cs-en")):
        data = SacrebleuTestSet(test_set=test_set, pair=pair)
        for act in (lambda data=data: list(data.read("test")), lambda data=data: data.fingerprint("test")):
            with pytest.raises(DataError) as found:
                act()
            assert str(found.value) == (
                f"{test_set}, {pair} is not in sacreBLEU's cache ({cache / test_set}). Nothing is downloaded here; to "
                f"fetch it: sacrebleu --download {test_set} -l {pair}"
            )
    assert list(cache.iterdir()) == []


def test_the_command_is_one_of_sacrebleus() -> None:
    """The help of this version has the options that the message names; the value of the first is a test set."""
    shown = subprocess.run([sys.executable, "-m", "sacrebleu", "--help"], capture_output=True, text=True, check=True)
    assert re.search(r"--download DOWNLOAD\s+Download a test set and quit\.", shown.stdout)
    assert re.search(r"-l LANGPAIR\s", shown.stdout)


def test_a_reference_that_is_missing_or_shorter_is_reported(fill: Fill) -> None:
    data = fill("wmt20/tworefs", "de-en", TWO)
    first, last = data.fingerprint("test"), data.files("test")[-1]
    last.write_text("One dog.\n")
    assert data.fingerprint("test") != first
    with pytest.raises(DataError, match=r"differ in length\. Remove the folder, then fetch .*: sacrebleu --download "):
        list(data.read("test"))
    last.unlink()
    with pytest.raises(DataError, match="is not in sacreBLEU's cache"):
        data.files("test")


@pytest.mark.parametrize(
    ("test_set", "pair", "message"),
    [
        ("wmt41", "de-en", "data.test_set: sacreBLEU has no 'wmt41': did you mean 'wmt24'? There are: wmt24, "),
        ("wmt14", "de_en", "data.pair: wmt14 has no 'de_en': did you mean 'de-en'? There are: cs-en, "),
    ],
)
def test_unknown_names_are_refused(test_set: str, pair: str, message: str) -> None:
    with pytest.raises(ConfigError) as found:
        SacrebleuTestSet(test_set=test_set, pair=pair)
    assert str(found.value).startswith(message)


def test_there_is_only_a_test_set(cache: Path) -> None:
    data = SacrebleuTestSet(test_set="wmt14", pair="de-en", source_prefix="<2en> ")
    assert (data.splits(), data.source_prefix) == (("test",), "<2en> ")
    with pytest.raises(DataError, match=r"^data=sacrebleu has only the split 'test', there is no 'train'; a "):
        list(data.read("train"))
