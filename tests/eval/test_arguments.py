"""What the commands that score predictions have in common."""

import warnings

import pytest

from eval.arguments import warnings_shown
from eval.errors import EvalError


def test_warnings_are_lines_also_of_what_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """Each once, in order; what is meant for programmers is not shown."""

    def fail() -> None:
        for message in ("no words", "no image", "no words"):
            warnings.warn(message, stacklevel=1)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        raise EvalError("Java died")

    with pytest.raises(EvalError), warnings_shown():
        fail()
    assert capsys.readouterr().err == "warning: no words\nwarning: no image\n"
