import inspect

import pytest

from seq2seq.data.embedded.docstring_prose import letters, summary_and_body

NUMPY = """
    Return the mean of a
    row. It is what one expects.

    More on :func:`~numpy.mean`, see `the guide <https://x.org>`_ and ``axis`` [1]_.

    Parameters
    ----------
    a : array
        The row.

    Returns
    -------
    float

    Notes
    -----
    The sum comes first.

    See Also
    --------
    median

    Examples
    --------
    >>> mean([1, 2])
    1.5

    The examples go on in words.
    """

GOOGLE = """Send a letter to a person.

    It is sent by mail. For example::

        send("a")

    The letter may be long:

    - or short,
      if need be
    - or *empty*

    Note:
        Stamps are **not** free.

    Args:
        letter (str): The letter.

            It has pages.
        person: Who gets it.
    Returns:
        Nothing.

    Raises: an error if there is no mail

    It arrives at last.
    """

FIELDS = """Open the door.

    .. versionadded:: 1.2
       Doors.
    .. note:: Mind the step.

    .. math::

        d = 1

    The door is opened wide, e.g. by hand.

    :param int width: how far
        it opens
    :return: the door
    @raise Stuck: it does not
    """

KEPT = [
    (
        NUMPY,
        "Return the mean of a row.",
        ["It is what one expects.", "More on numpy.mean, see the guide and axis.", "The sum comes first."],
    ),
    (
        GOOGLE,
        "Send a letter to a person.",
        [
            "It is sent by mail.",
            "The letter may be long:",
            "- or short, if need be",
            "- or empty",
            "Stamps are not free.",
            "It arrives at last.",
        ],
    ),
    (FIELDS, "Open the door.", ["Mind the step.", "The door is opened wide, e.g. by hand."]),
    ("Title of it\n===========\nThe text below it.", "Title of it", ["The text below it."]),
    ("Say no, e.g. Never. Then go.", "Say no, e.g. Never.", ["Then go."]),
    (
        "A table.\n\n===  ===\na    b\n===  ===\n\n+--+\n|ab|\n+--+\n\nIt was small indeed.",
        "A table.",
        ["It was small indeed."],
    ),
    ("Code.\n\n    x = f(x)\n\nThat is all.\n\n```\nsome code here\n```", "Code.", ["That is all."]),
    ("Links to [the page](http://a.b/c).\n\nhttps://a.b/c", "Links to the page.", []),
    ("Run it.\n\n$ run it now\n\n%(shared)s\n\nFill in the form.", "Run it.", ["Fill in the form."]),
    ("Give \\*args to 2 ** 3 and *this*.", "Give *args to 2 ** 3 and this.", []),
    (">>> f()\n1", "", []),
    ("", "", []),
]


@pytest.mark.parametrize(("docstring", "summary", "body"), KEPT)
def test_only_sentences_are_kept(docstring: str, summary: str, body: list[str]):
    assert summary_and_body(docstring) == (summary, "\n".join(body))


@pytest.mark.parametrize("docstring", [NUMPY, GOOGLE, FIELDS])
def test_indentation_and_a_last_line_change_nothing(docstring: str):
    assert summary_and_body(inspect.cleandoc(docstring)) == summary_and_body(docstring)


@pytest.mark.parametrize(("text", "share"), [("abc", 1.0), ("a 1", 0.5), ("", 0.0), ("日本!?", 0.5)])
def test_the_share_of_letters(text: str, share: float):
    assert letters(text) == share
