"""Kernels compile where nothing can be kept, and are kept where something can."""

import importlib.util
import logging
from pathlib import Path
from types import ModuleType

import pytest

from core import compiled

SOURCE = """
from core.compiled import compiled

@compiled(fastmath={"contract"})
def twice(x):
    return 2 * x
"""


def _module(folder: Path) -> ModuleType:
    path = folder / "kernels.py"
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("kernels", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_code_is_kept_beside_the_source(tmp_path: Path) -> None:
    assert _module(tmp_path).twice(21) == 42
    assert list((tmp_path / "__pycache__").glob("*.nbi")), "numba's index"


def test_a_folder_that_cannot_be_written_costs_time_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "__pycache__").touch()  # a file: even root can write nothing below it
    monkeypatch.setenv("HOME", str(tmp_path / "__pycache__"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "__pycache__"))
    compiled._say.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert _module(tmp_path).twice(21) == 42
        assert _module(tmp_path).twice(4) == 8
    assert [record.message.count("NUMBA_CACHE_DIR") for record in caplog.records] == [1], "said once"
