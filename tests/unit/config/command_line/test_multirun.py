"""The jobs of a multirun and the names they give their runs."""

from seq2seq.config.command_line.multirun import split_jobs


def test_every_combination_is_a_job_and_is_named_by_what_differs() -> None:
    jobs = split_jobs(["data=files", "encoder=lstm,gru", "seed=1,2", "run=sweep"])
    assert [job.words[1:3] for job in jobs] == [
        ("encoder=lstm", "seed=1"),
        ("encoder=lstm", "seed=2"),
        ("encoder=gru", "seed=1"),
        ("encoder=gru", "seed=2"),
    ]
    assert {(job.words[0], job.words[3]) for job in jobs} == {("data=files", "run=sweep")}
    assert [job.suffix for job in jobs] == [
        "-encoder-lstm-seed-1",
        "-encoder-lstm-seed-2",
        "-encoder-gru-seed-1",
        "-encoder-gru-seed-2",
    ]
    assert jobs[0].differing == "encoder=lstm seed=1"


def test_without_a_sweep_there_is_one_job_and_no_suffix() -> None:
    assert [(job.differing, job.suffix) for job in split_jobs(["seed=1"])] == [("", "")]


def test_swept_run_names_have_no_suffix() -> None:
    assert [job.suffix for job in split_jobs(["run=a,b"])] == ["", ""]


def test_equal_suffixes_are_numbered() -> None:
    suffixes = [job.suffix for job in split_jobs(["data.root=a/b,a b"])]
    assert suffixes == ["-data.root-a-b-0", "-data.root-a-b-1"]


def test_long_suffixes_are_hashed() -> None:
    suffixes = [job.suffix for job in split_jobs([f"data.root={'a' * 200},{'b' * 200}"])]
    assert len(set(suffixes)) == 2
    assert all(len(suffix) == 9 for suffix in suffixes)
