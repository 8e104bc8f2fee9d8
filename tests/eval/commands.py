"""`python -m eval COMMAND` called in this process, for the tests of the commands that score predictions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eval.__main__ import main

Run = Callable[..., str]
"""(arguments, code=0) -> what is said: on stdout, or on stderr where another exit code is expected."""


def running(command: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that calls the command and holds it to its exit code."""

    def call(*args: object, code: int = 0) -> str:
        assert main([command, *map(str, args)]) == code
        captured = capsys.readouterr()
        return captured.out if code == 0 else captured.err

    return call


def write(path: Path, content: Any) -> Path:
    """A JSON file."""
    path.write_text(json.dumps(content))
    return path
