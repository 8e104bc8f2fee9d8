"""A result is read whole or refused by name; an absent one is no error."""

import json
from pathlib import Path
from typing import Any

import pytest

from eval.errors import EvalError
from eval.results import MetricValue, read_result

GOOD: dict[str, Any] = {
    "schema": 1,
    "stage": "transfer",
    "config": "quick_voc",
    "row": "quick_cutmix",
    "seed": 0,
    "digest": "0123456789abcdef",
    "metrics": {"ap50": {"value": 76, "unit": "%", "higher_is_better": True}},
    "more": {"classes": 20},
}


def write(folder: Path, **changes: Any) -> None:
    (folder / "result.json").write_text(json.dumps(GOOD | changes))


def test_reads(tmp_path: Path) -> None:
    write(tmp_path)
    result = read_result(tmp_path)
    assert result is not None
    assert result.metric("ap50") == MetricValue(76.0, "%", True)
    assert (result.row, result.seed, result.more) == ("quick_cutmix", 0, {"classes": 20})
    with pytest.raises(EvalError, match=r"result\.json: no metric 'ap'; there are ap50"):
        result.metric("ap")


def test_absent(tmp_path: Path) -> None:
    assert read_result(tmp_path) is None
    assert read_result(tmp_path / "nowhere") is None


def test_null_is_kept(tmp_path: Path) -> None:
    write(tmp_path, metrics={"top1_error": {"value": None, "unit": "%", "higher_is_better": False}})
    result = read_result(tmp_path)
    assert result is not None
    assert result.metric("top1_error").value is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "schema 2, expected 1"),
        ({"metrics": None}, "metrics is None, expected dict"),
        ({"seed": "0"}, "seed is '0', expected int"),
        ({"metrics": {"a": 1}}, "metrics.a is 1, expected dict"),
        ({"metrics": {"a": {"unit": "%", "higher_is_better": True}}}, "value is 'absent'"),
        ({"metrics": {"a": {"value": float("nan"), "unit": "%", "higher_is_better": True}}}, "value is nan"),
        ({"metrics": {"a": {"value": 1.0, "unit": "%"}}}, "higher_is_better is None"),
    ],
)
def test_malformed(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    write(tmp_path, **changes)
    with pytest.raises(EvalError, match=message) as caught:
        read_result(tmp_path)
    assert str(tmp_path / "result.json") in str(caught.value)


@pytest.mark.parametrize("content", [b"", b'{"schema": 1, "stage": "tr', b"\xff\xfe", b"[]"])
def test_half_written(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(EvalError, match=r"result\.json"):
        read_result(tmp_path)
