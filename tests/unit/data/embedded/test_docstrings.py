import logging
import subprocess
import sys
from pathlib import Path

import pytest

from seq2seq.data.embedded.docstrings import Docstrings
from seq2seq.data.embedded.installed_modules import installed_modules
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Pair

BODY = "The body tells at some length what {} is for, so that there is something to learn from."


def function(name: str, summary: str | None = None, body: str | None = None) -> str:
    summary = f"Do the thing called {name}." if summary is None else summary
    return f'def {name}(a, b=1):\n    """{summary}\n\n    {BODY.format(name) if body is None else body}\n    """\n\n'


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of two packages: 'Lamp_Shade' of 60 modules of two functions, 'oil' of two modules."""
    monkeypatch.setattr("seq2seq.data.embedded.installed_modules.site_packages", lambda: [str(tmp_path)])
    install(tmp_path, "Lamp_Shade", "1.0", {f"lamp/m{i}.py": function(f"f{i}") + function(f"g{i}") for i in range(60)})
    install(tmp_path, "oil", "2.0", {"oil/__init__.py": function("pour"), "oil/burn.py": function("burn")})
    return tmp_path


def install(site: Path, name: str, version: str, files: dict[str, str | bytes]) -> None:
    for file, code in files.items():
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        (site / file).write_bytes(code if isinstance(code, bytes) else code.encode())
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join(f"{file},sha256=x,1\n" for file in [*files, f"{info.name}/METADATA"]))


def docstrings(**given) -> Docstrings:
    return Docstrings(**{"packages": None, "standard_library": False, "valid": 0.2, "test": 0.2} | given)


def names(data: Docstrings, split: str) -> list[str]:
    return [pair.source.partition("(")[0] for pair in data.read(split)]


def all_names(data: Docstrings) -> list[str]:
    return [name for split in data.splits() for name in names(data, split)]


def test_a_pair_is_signature_and_body_and_the_summary(site: Path):
    pairs = [pair for split in ("train", "valid", "test") for pair in docstrings().read(split)]
    assert Pair(f"burn(a, b)\n{BODY.format('burn')}", "Do the thing called burn.") in pairs
    assert len(pairs) == len(set(pairs)) == 122


def test_a_module_is_in_one_split_and_every_split_has_some(site: Path):
    found = {split: names(docstrings(), split) for split in ("train", "valid", "test")}
    modules = {split: {name[1:] for name in given if name[1:].isdigit()} for split, given in found.items()}
    assert sum(map(len, modules.values())) == len(set.union(*modules.values())) == 60
    assert all(5 <= len(modules[split]) <= 20 for split in ("valid", "test")) and len(modules["train"]) >= 25


def test_modules_stay_in_their_splits_when_packages_change(site: Path):
    before = {split: names(docstrings(packages=["lamp-shade"]), split) for split in ("train", "valid", "test")}
    install(site, "Lamp_Shade", "1.0", {f"lamp/m{i}.py": function(f"f{i}") + function(f"g{i}") for i in range(70)})
    for split, given in before.items():
        assert set(given) <= set(names(docstrings(), split))


def test_duplicates_are_left_out_and_stay_in_the_smaller_split(site: Path):
    data = docstrings()
    tested = next(data.read("test"))
    copy = function("copy", summary=tested.target.upper().rstrip("."))  # the same but for case and punctuation
    again = function("again", body=tested.source.partition("\n")[2])
    copies = {f"twice/m{i}.py": copy + again + function(f"new{i}") for i in range(20)}
    install(site, "twice", "1.0", copies)
    assert tested in list(docstrings().read("test")) and len(set(all_names(docstrings()))) == 122 + 20
    assert not {"copy", "again"} & set(names(docstrings(), "train"))


TOO_LITTLE = [
    function("f", summary="Too short."),
    function("f", summary="Far too long, " + "and on " * 20 + "it goes."),
    function("f", body="Twelve words are the least of it."),
    function("f", summary="a = b + 1 - (c * 2) / 4"),
    function("f", summary="Deprecated: use the other function instead."),
    function("f", summary="See the other function for this."),
    function("f", summary="It does the following things:"),
    function("f", summary="Return an iterator over all", body="of the " + BODY),
    function("f", summary="It holds a bell \\x07 and more."),
    function("f", summary="It holds half \\ud800 of a pair."),
    "def f():\n    '''Just one line and no body.'''\n",
]


@pytest.mark.parametrize("code", TOO_LITTLE)
def test_uninformative_docstrings_are_left_out(site: Path, code: str):
    install(site, "more", "1.0", {"more.py": code + function("kept")})
    assert set(all_names(docstrings(packages=["more", "oil", "lamp-shade"]))) & {"f", "kept"} == {"kept"}


def test_broken_files_are_skipped_and_counted(site: Path, caplog: pytest.LogCaptureFixture):
    broken = {"b/a.py": "def f(:\n", "b/b.py": b'"""\xff"""\n', "b/c.py": "x = '\0'\n", "b/d.py": function("fine")}
    install(site, "broken", "1.0", broken)
    with (site / "broken-1.0.dist-info" / "RECORD").open("a") as record:
        record.write("b/gone.py,,\n")
    with caplog.at_level(logging.INFO):
        assert "fine" in all_names(docstrings())
    assert "4 files could not be parsed as Python and were skipped" in caplog.text


def test_tests_and_copies_of_other_packages_are_left_out(site: Path):
    code = function("left_out")
    files = {
        "a/tests/b.py": code,
        "a/_vendor/b.py": code,
        "a/test_b.py": code,
        "a/conftest.py": code,
    }
    install(site / "inner", "more", "1.0", {"a.py": code})
    install(site, "more", "1.0", {**files, "inner/../a.py": code, "a/b.txt": code})
    assert "left_out" not in all_names(docstrings())


def test_the_log_names_versions_and_counts(site: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        count = len(names(docstrings(packages=["Lamp.Shade"]), "train"))
    assert caplog.messages == [f"docstrings, train: {count} pairs (lamp-shade 1.0: {count})"]


def test_what_changes_the_text_changes_the_fingerprint(site: Path):
    prints = {docstrings().fingerprint(split) for split in ("train", "valid", "test")}
    prints |= {docstrings(**given).fingerprint("train") for given in ({"valid": 0.3}, {"packages": ["oil"]})}
    assert len(prints) == 5 and docstrings().fingerprint("train") in prints
    (site / "oil" / "burn.py").write_text(function("burn", summary="Do what burns the oil."))
    prints.add(docstrings().fingerprint("train"))
    (site / "oil-2.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: oil\nVersion: 2.1\n")
    assert len(prints | {docstrings().fingerprint("train")}) == 7


def test_all_mistakes_are_reported_at_once(site: Path):
    with pytest.raises(ConfigError) as error:
        docstrings(packages=["oyl"], valid=0.0, test=1.5)
    assert str(error.value).split("\n") == [
        "data.valid must be a share above 0, not 0.0",
        "data.valid and data.test leave nothing for training: 0.0 + 1.5 must be below 1",
        "data.packages: there is no installed package 'oyl': did you mean 'oil'? There are: lamp-shade, oil",
    ]


def test_split_without_pairs_is_refused(site: Path):
    install(site, "bare", "1.0", {"bare.py": "x = 1\n"})
    with pytest.raises(DataError, match=r"^train: 1 modules have no docstring to learn from; name more packages$"):
        list(docstrings(packages=["bare"]).read("train"))


def test_standard_library_has_the_version_of_python():
    modules = installed_modules([], standard_library=True)
    there = {module.name for module in modules}
    assert {"json.decoder", "email", "textwrap"} <= there and not any("site-packages" in name for name in there)
    assert {(module.package, module.version) for module in modules} == {
        ("python", ".".join(map(str, sys.version_info[:3])))
    }


def test_an_installed_package_gives_the_same_pairs_in_another_process():
    script = (
        "from seq2seq.data.embedded.docstrings import Docstrings; import sys; sys.stdout.reconfigure(encoding='utf-8');"
    )
    script += "d = Docstrings(packages=['Babel'], standard_library=False, valid=0.1, test=0.1);"
    script += "print(d.fingerprint('train'), [p.source for p in d.read('train')])"
    environment = {"PYTHONHASHSEED": "5"}
    output = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
    data = docstrings(packages=["babel"], valid=0.1, test=0.1)
    pairs = list(data.read("train"))
    assert output.stdout.decode() == f"{data.fingerprint('train')} {[pair.source for pair in pairs]}\n"
    assert len(pairs) > 20 and all("\n" in pair.source and "\n" not in pair.target for pair in pairs)
