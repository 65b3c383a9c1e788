"""Translating lines: JSON with the run's column, several answers with scores, given prefixes."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import torch
from contract.combinations import Triple

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.config.schema import TrainSettings, TranslateSettings
from seq2seq.data.rows import Row
from seq2seq.errors import ConfigError, DataError
from seq2seq.inference import translation, translator
from seq2seq.inference.line_input import with_keys
from seq2seq.inference.trained_model import TrainedModel
from seq2seq.inference.translation import PlainLines, Prefixes, Rows, translate
from seq2seq.inference.translator import Candidate, Translation, Translator
from seq2seq.model.builder import build_model
from seq2seq.runtime.device import Runtime
from seq2seq.search.beam import BeamSearch
from seq2seq.search.greedy import GreedySearch
from seq2seq.search.sampling import SamplingSearch
from seq2seq.tokenizer import SentencePiece, Tokenizer
from seq2seq.types import Part

SCRIPT = TranslateSettings(
    run="one",
    checkpoint="best",
    input=None,
    output=None,
    prefix=None,
    n_best=1,
    shortlist=None,
    ensemble=[],
    changed={},
)


def answers(*texts: str) -> Translation:
    candidates = tuple(Candidate(text, -0.5 * place, -2.0 * place) for place, text in enumerate(texts, 1))
    return Translation(texts[0], -0.5, -2.0, candidates)


def form_of(path: Path, content: str, settings: TrainSettings, column: str = "output", n_best: int = 1, **data) -> Rows:
    """The `Rows` of a table, read with a run's columns."""
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    return Rows(str(path), replace(settings, data=Part("table", settings.data.target, data)), column, n_best)


@pytest.mark.parametrize("suffix", ["jsonl", "ndjson", "json", "csv", "tsv"])
def test_the_runs_column_is_read_and_the_answer_added_to_the_row(
    trained: tuple[TrainedModel, TrainSettings], tmp_path: Path, suffix: str
) -> None:
    content = {"csv": "id,text,n\n0,eins,\n\n1,zwei,\n", "tsv": "id\ttext\tn\n0\teins\t\n\n1\tzwei\t\n"}
    lines = "".join(json.dumps({"id": str(i), "text": t, "n": ""}) + "\n\n" for i, t in enumerate(("eins", "zwei")))
    form = form_of(tmp_path / f"in.{suffix}", content.get(suffix, lines), trained[1], source="text")
    rows = list(form.open(lambda count: None))
    assert form.read(rows) == ["eins", "zwei"]
    written = [json.loads(line) for line in form.write([answers("one"), answers("two")])]
    assert written == [
        {"id": "0", "text": "eins", "n": "", "output": "one"},
        {"id": "1", "text": "zwei", "n": "", "output": "two"},
    ]


PASSED_THROUGH = [
    r'{"half": "\ud83d", "source": "x"}',
    '{"big": 1e400, "nan": NaN, "long": 12345678901234567890, "f": 1.10, "source": "x"}',
    '{"source": "x", "u": "\\u00e4\u2028" }',
    '  {"source": "x"}  ',
]


@pytest.mark.parametrize("line", PASSED_THROUGH)
def test_the_rest_of_a_json_line_is_not_changed(
    trained: tuple[TrainedModel, TrainSettings], tmp_path: Path, line: str
) -> None:
    form = form_of(tmp_path / "in.jsonl", line + "\n", trained[1])
    form.read(list(form.open(lambda count: None)))
    assert form.write([answers("ä")]) == [line.strip()[:-1].rstrip() + ', "output": "ä"}']


def test_unpaired_surrogates_and_dates_are_written_as_json() -> None:
    row = Row("f.json, item 1", {"half": "\ud83d", "day": date(2021, 1, 1)})
    line = with_keys(row, {"output": "ä"}, "")
    assert line.encode() and json.loads(line) == {"half": "\ud83d", "day": "2021-01-01", "output": "ä"}


@pytest.mark.parametrize(("taken", "n_best"), [("output", 1), ("outputs", 2)])
def test_an_existing_column_is_not_overwritten(
    trained: tuple[TrainedModel, TrainSettings], tmp_path: Path, taken: str, n_best: int
) -> None:
    line = json.dumps({"source": "x", taken: "a reference"})
    form = form_of(tmp_path / "in.jsonl", line, trained[1], n_best=n_best)
    form.read(list(form.open(lambda count: None)))
    with pytest.raises(DataError, match=rf"in.jsonl, line 1 has a column '{taken}' already.*answer_column=NAME"):
        form.write([answers("one")])
    form = form_of(tmp_path / "in.jsonl", line, trained[1], "answer", n_best)
    form.read(list(form.open(lambda count: None)))
    (written,) = map(json.loads, form.write([answers("one")]))
    assert (written[taken], written["answer"]) == ("a reference", "one")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"dialogue": "x"}', r"in.jsonl, line 3: there is no column 'text'"),
        ("[1]", r"in.jsonl, line 3 is not a JSON object"),
        ("{", r"in.jsonl, line 3 is not JSON"),
        ('{"text": 7}', r"in.jsonl, line 3: column 'text' holds 7"),
        ('{"text": "' + "\\ud800" + '"}', r"in.jsonl, line 3: column 'text' contains an unpaired surrogate"),
    ],
)
def test_the_error_names_the_unreadable_line(
    trained: tuple[TrainedModel, TrainSettings], tmp_path: Path, line: str, message: str
) -> None:
    content = '{"text": "a"}\n{"text": "b"}\n' + line
    form = form_of(tmp_path / "in.jsonl", content, trained[1], source="text")
    with pytest.raises(DataError, match=message):
        form.read(list(form.open(lambda count: None)))


def test_line_breaks_inside_an_answer_become_spaces() -> None:
    assert PlainLines(None, 1).write([answers("a\nb"), answers("")]) == ["a b", ""]


def test_several_answers_are_numbered_by_their_line_across_chunks() -> None:
    form = PlainLines(None, 2)
    assert form.write([answers("a\nb", "c"), answers("")]) == [
        "1\t-0.5000\t-2.0000\ta b",
        "1\t-1.0000\t-4.0000\tc",
        "2\t-0.5000\t-2.0000\t",
    ]
    assert form.write([answers("d")]) == ["3\t-0.5000\t-2.0000\td"]


def test_json_has_several_answers_next_to_the_best(trained: tuple[TrainedModel, TrainSettings], tmp_path: Path) -> None:
    form = form_of(tmp_path / "in.jsonl", '{"source": "eins"}', trained[1], n_best=3)
    form.read(list(form.open(lambda count: None)))
    (line,) = form.write([answers("one", "1")])
    assert json.loads(line) == {
        "source": "eins",
        "output": "one",
        "outputs": [{"score": -0.5, "log_prob": -2.0, "text": "one"}, {"score": -1.0, "log_prob": -4.0, "text": "1"}],
    }


def test_there_is_one_prefix_per_line(tmp_path: Path) -> None:
    path = tmp_path / "begin.txt"
    path.write_text("ein \n\n zwei\n")
    given = Prefixes(str(path))
    assert given.take(2) == ["ein", ""]
    assert given.take(1) == [" zwei"]
    given.end()
    short, long = Prefixes(str(path)), Prefixes(str(path))
    with pytest.raises(DataError, match=r"begin.txt has 3 lines, the input more: give one line for each, empty or not"):
        short.take(4)
    long.take(2)
    with pytest.raises(DataError, match=r"begin.txt has more lines than the input, which has 2"):
        long.end()


@pytest.fixture(scope="module")
def trained() -> tuple[TrainedModel, TrainSettings]:
    """A small untrained model with a small vocabulary."""
    words = ["eins zwei drei vier", "one two three four"] * 4
    piece = SentencePiece(
        model_type="bpe",
        vocab_size=300,
        joint=True,
        character_coverage=1.0,
        byte_fallback=True,
        normalization="nmt_nfkc",
        sampling=0.0,
        training_lines=100,
    )
    tokenizer: Tokenizer = piece.train(words, words)
    settings = Triple("lstm", "bahdanau", "lstm").settings()
    torch.manual_seed(1)
    model = build_model(settings, source_vocab=tokenizer.source.size, target_vocab=tokenizer.target.size).eval()
    runtime = Runtime(torch.device("cpu"), torch.float32)
    return TrainedModel(RunFolder(Path("none")), tokenizer, model, runtime, 1, model, {}), settings


def test_answers_begin_with_their_prefix_and_come_best_first(trained: tuple[TrainedModel, TrainSettings]) -> None:
    search = BeamSearch(beam_size=4, length_penalty=1.0, max_length=12, max_length_ratio=2.0)
    translator = Translator(*trained, search)
    together = translator.translate(["eins", "zwei drei", ""], 3, ["one ", "", "two three"])
    found = [each.candidates for each in together]
    assert [len(each) for each in found] == [3, 3, 3]
    for each in found:
        assert [one.score for one in each] == sorted((one.score for one in each), reverse=True)
    assert all(one.text.startswith("one") for one in found[0])
    assert all(one.text.startswith("two three") for one in found[2])
    (alone,) = (each.candidates for each in translator.translate(["zwei drei"], n_best=3))
    assert [one.text for one in found[1]] == [one.text for one in alone]
    assert [one.log_prob for one in found[1]] == pytest.approx([one.log_prob for one in alone], abs=1e-4)


def test_the_samples_of_a_line_do_not_depend_on_its_chunk(
    trained: tuple[TrainedModel, TrainSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds = {"max_length": 9, "max_length_ratio": 1.0}
    drawing = {"samples": 1, "temperature": 1.0, "top_k": None, "top_p": None, "seed": 1}
    settings = replace(trained[1], search=Part("sampling", SamplingSearch, drawing | bounds))
    monkeypatch.setattr(translator, "load_for", lambda *_: trained[0])
    (tmp_path / "in").write_text("zwei drei\n" * 7)
    written = []
    for chunk in (1000, 3):
        monkeypatch.setattr(translation, "CHUNK", chunk)
        translate(replace(SCRIPT, input=str(tmp_path / "in"), output=str(tmp_path / "out")), settings)
        written.append((tmp_path / "out").read_text().split("\n"))
    assert written[0] == written[1]
    assert len(set(written[0][:-1])) == 7


@pytest.mark.parametrize("kind", ["beam", "greedy"])
def test_more_answers_than_a_search_finds_are_refused(trained: tuple[TrainedModel, TrainSettings], kind: str) -> None:
    bounds = {"max_length": 9, "max_length_ratio": 1.0}
    part = {
        "beam": Part("beam", BeamSearch, {"beam_size": 4, "length_penalty": 1.0, **bounds}),
        "greedy": Part("greedy", GreedySearch, bounds),
    }[kind]
    most = {"beam": "4 per line; raise search.beam_size", "greedy": "1 per line; take search=beam"}[kind]
    with pytest.raises(ConfigError, match=f"n_best=5: search={kind} finds at most {most}"):
        translate(replace(SCRIPT, n_best=5), replace(trained[1], search=part))


@pytest.mark.parametrize("key", ["input", "prefix"])
def test_an_input_file_is_not_overwritten(
    trained: tuple[TrainedModel, TrainSettings], key: str, tmp_path: Path
) -> None:
    path = tmp_path / "text"
    path.write_text("eins\n")
    with pytest.raises(ConfigError, match=f"output={path} is the .*: name another file"):
        translate(replace(SCRIPT, output=str(path), **{key: str(path)}), trained[1])
    assert path.read_text() == "eins\n"


@pytest.mark.parametrize(("data", "hint"), [({}, True), ({"source": "text"}, False)])
def test_a_run_without_columns_names_the_expected_columns(
    trained: tuple[TrainedModel, TrainSettings], tmp_path: Path, data: dict[str, str], hint: bool
) -> None:
    form = form_of(tmp_path / "in.csv", "de,en\na,b\n", trained[1], **data)
    with pytest.raises(DataError, match=r"in.csv, line 2: there is no column") as error:
        form.read(list(form.open(lambda count: None)))
    assert ("name those of a table source and target" in str(error.value)) == hint


def test_a_table_as_prefix_is_refused(trained: tuple[TrainedModel, TrainSettings]) -> None:
    with pytest.raises(ConfigError, match=r"prefix=begin.csv: give plain text, line for line with the input"):
        translate(replace(SCRIPT, prefix="begin.csv"), trained[1])
