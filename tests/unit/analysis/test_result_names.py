"""Names of results: short enough for every file system, different where settings are."""

from seq2seq.analysis.result_names import LONGEST, file_name, told


def test_values_are_told_in_a_few_letters() -> None:
    assert [told(one) for one in (None, [], ["a", 1], 0.5, True)] == ["null", "none", "a+1", "0.5", "True"]


def test_a_name_holds_no_slash_and_never_too_many_bytes() -> None:
    assert file_name(["test", "data.root=a/b"]) == "test-data.root=a-b"
    long, other = (file_name(["test", "ä" * 300, end]) for end in "xy")
    assert long != other
    assert len(long.encode()) <= LONGEST
    assert long.startswith("test-ää")
