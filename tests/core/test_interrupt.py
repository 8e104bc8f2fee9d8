"""Ctrl-C while a command imports its modules: one line, no traceback, the code 130."""

import signal
import subprocess
import sys

import pytest

from core.config import CHECKOUT
from core.interrupt import while_importing

SCRIPT = """
import importlib, os, signal, sys
class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, CtrlC())
signal.signal(signal.SIGINT, getattr(signal, sys.argv[1]))
sys.exit(importlib.import_module(sys.argv[2] + ".__main__").main(sys.argv[3:]))
"""


def call(handler: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT, handler, *words]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("words", [["pretrain", "a"], ["transfer", "a"], ["wsol", "run", "a"]])
def test_ctrl_c_ends_the_imports_with_one_line(words: list[str]) -> None:
    ended = call("default_int_handler", *words)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "stopped before the work began\n")


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    ended = call("SIG_IGN", "pretrain", "nowhere")
    assert ended.returncode == 2
    assert "no config nowhere" in ended.stderr


def test_after_the_imports_ctrl_c_is_pythons_again() -> None:
    before = signal.getsignal(signal.SIGINT)
    with while_importing():
        assert (signal.getsignal(signal.SIGINT) is before) is (before is not signal.default_int_handler)
    assert signal.getsignal(signal.SIGINT) is before
