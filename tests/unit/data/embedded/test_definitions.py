import pytest

from seq2seq.data.embedded.definitions import Definition, definitions

CODE = '''
"""The module's own docstring is none of them."""
import sys

def plain(a, b=1, *rest, key: int = 2, **others) -> None:
    """Plain."""
    def within():
        """Left out."""

async def waiting(first, /, second):
    "Waiting."

def bare():
    return """no docstring"""

class Made(Base):
    """Made."""

    def __init__(self, width, *, depth):
        """Init."""

    @classmethod
    def make(cls, name):
        """Make."""

    @staticmethod
    def free(name):
        """Free."""

    class Inner:
        """Inner."""

        def method(self):
            """Method."""

if sys.platform == "win32":
    def here():
        """Here."""
else:
    try:
        import there
    except ImportError:
        pass
    finally:
        class There:
            """There."""
'''

FOUND = [
    ("plain(a, b, *rest, key, **others)", "Plain."),
    ("waiting(first, second)", "Waiting."),
    ("class Made(width, depth)", "Made."),
    ("Made.__init__(width, depth)", "Init."),
    ("Made.make(name)", "Make."),
    ("Made.free(name)", "Free."),
    ("class Inner", "Inner."),
    ("Inner.method()", "Method."),
    ("here()", "Here."),
    ("class There", "There."),
]


def test_functions_methods_and_classes_are_found_with_their_signatures():
    assert list(definitions(CODE.encode())) == [Definition(*found) for found in FOUND]


def test_code_is_not_executed():
    assert list(definitions(b'raise SystemExit("run")\ndef f():\n    """F."""\n')) == [Definition("f()", "F.")]


def test_coding_line_is_respected():
    code = '# -*- coding: latin-1 -*-\ndef f():\n    """Größe."""\n'.encode("latin-1")
    assert list(definitions(code)) == [Definition("f()", "Größe.")]


@pytest.mark.parametrize("code", [b"def f(:\n", b'"""\xff"""\n', b"print 'two'\n", b"x = 1\0\n", b"(" * 1000])
def test_invalid_python_is_a_value_error(code: bytes):
    with pytest.raises(ValueError, match="not valid for this version of Python"):
        definitions(code)
