"""The evaluator's folder, rows and progress: what is refused, what goes on, what is written."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from core.errors import UserError
from core.lock import Lock
from eval.errors import EvalError
from wsol.evaluate import progress, rows
from wsol.evaluate.folder import CONFIG, RESULT, finished, opened

THIS: dict[str, Any] = {"code": "a", "settings": {"corrected": {"threshold": 0.15}}, "input": {"images": 3}}
OTHER: dict[str, Any] = {**THIS, "settings": {"corrected": {"threshold": 0.2}}}


def begin(folder: Path, config: dict[str, Any] = THIS, *, resume: bool = False, finish: bool = False) -> str:
    said = io.StringIO()
    with opened(folder, config, resume=resume, out=said) as held:
        held.parts.mkdir(exist_ok=True)
        (held.parts / f"{config['code']}.npz").touch()
        if finish:
            held.finish({"answer": 42})
    return said.getvalue()


def test_parts_stay_until_the_result_is_there(tmp_path: Path) -> None:
    begin(tmp_path)
    assert (tmp_path / "parts/a.npz").is_file()
    assert finished(tmp_path, THIS, ()) is None
    (tmp_path / ".per_image.csv.123.tmp").touch()  # a kill in the middle of writing
    begin(tmp_path, resume=True, finish=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [CONFIG, RESULT]
    assert finished(tmp_path, THIS, ()) == {"answer": 42}
    assert finished(tmp_path, THIS, ("per_image.csv",)) is None  # asked for, and not there
    begin(tmp_path)
    (tmp_path / "per_image.csv").touch()
    assert finished(tmp_path, THIS, ("per_image.csv",)) is None  # killed while it made them


@pytest.mark.parametrize("finish", [False, True])
def test_another_evaluation_is_refused_with_the_differences(tmp_path: Path, finish: bool) -> None:
    begin(tmp_path, finish=finish)
    with pytest.raises(EvalError, match=r"settings\.corrected\.threshold: 0\.15 there, 0\.2 here"):
        begin(tmp_path, OTHER)
    with pytest.raises(EvalError, match="another evaluation"):
        finished(tmp_path, OTHER, ())


def test_parts_of_another_version_are_made_anew(tmp_path: Path) -> None:
    begin(tmp_path, finish=True)
    newer = {**THIS, "code": "b"}
    assert finished(tmp_path, newer, ()) is None
    assert "another version" in begin(tmp_path, newer)
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["b.npz"]
    assert not (tmp_path / RESULT).exists()


def test_what_is_no_evaluation_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(EvalError, match=r"is no evaluation.*thesis\.tex"):
        begin(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(EvalError, match="it is a file"):
        begin(tmp_path / "thesis.tex")
    (tmp_path / CONFIG).write_text("{}")
    with pytest.raises(EvalError, match="another program's"):
        begin(tmp_path)


def test_resume_begins_nothing(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="expected an evaluation to resume"):
        begin(tmp_path / "mistyped", resume=True)
    assert not (tmp_path / "mistyped").exists()


def test_two_at_once_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path)

    def held(_: object, folder: Path) -> None:
        raise UserError(f"{folder}: process 7 is at work in this folder")

    monkeypatch.setattr(Lock, "__init__", held)
    with pytest.raises(UserError, match="process 7"):
        begin(tmp_path)


ROWS: list[dict[str, Any]] = [
    {"id": "a,b.jpg", "iou": 0.5, "hit": True, "top1": None},
    {"id": "c", "iou": 0.25, "hit": False, "top1": None},
]


def test_rows_as_csv(tmp_path: Path) -> None:
    path = rows.write(tmp_path, iter(ROWS), "csv")
    with path.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert found == [{key: "" if value is None else str(value) for key, value in row.items()} for row in ROWS]


def test_rows_as_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_CHUNK", 2)
    later = {"id": "d", "iou": 1.0, "hit": True, "top1": 0.5}  # a column may be empty in the first rows only
    path = rows.write(tmp_path, iter([*ROWS, later]), "parquet")
    assert pq.read_table(path).to_pylist() == [*ROWS, later]
    assert pq.read_table(rows.write(tmp_path, iter([]), "parquet")).num_rows == 0


def test_progress_passes_all_and_says_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    out = io.StringIO()
    assert list(progress.shown([256, 44], 556, 256, out)) == [256, 44]
    assert [line.split(",")[0] for line in out.getvalue().splitlines()] == ["512/556 maps", "556/556 maps"]


def test_result_json_is_json(tmp_path: Path) -> None:
    begin(tmp_path, finish=True)
    assert json.loads((tmp_path / RESULT).read_text()) == {"answer": 42}
