"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import pytest

# Before torch is imported: the networks here are so small that a second thread costs more than it brings, and on a busy
# machine many times more.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real subsets in official layouts: TRANSFER_REAL_DATA. Unset: skip. Set but absent: an error."""
    value = os.environ.get("TRANSFER_REAL_DATA")
    if value is None:
        pytest.skip("TRANSFER_REAL_DATA is not set: no real subsets on this machine")
    root = Path(value)
    if not root.is_dir():
        raise FileNotFoundError(f"TRANSFER_REAL_DATA={value} is not a folder")
    return root
