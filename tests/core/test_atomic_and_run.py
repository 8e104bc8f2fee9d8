"""Files are whole or not there; a run's folder skips, refuses and goes on."""

import errno
import json
import os
from pathlib import Path

import pytest

from core import atomic
from core.errors import UserError
from core.run import open_run

DESCRIPTION = {"digest": "aa", "config": {"mixing": {"alpha": 1.0}}}


def test_a_full_disk_leaves_the_old_file_and_no_temporary_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result.json"
    atomic.write_json(path, {"value": 1})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        atomic.write_json(path, {"value": 2})
    assert json.loads(path.read_text()) == {"value": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_a_full_disk_while_a_result_is_written_leaves_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = open_run(tmp_path / "run", DESCRIPTION)
    run.path("checkpoint.pt").write_bytes(b"weights")

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        run.finish({"metrics": {}})
    assert not run.done
    assert {p.name for p in run.folder.iterdir()} == {"config.json", "checkpoint.pt"}


def test_json_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        atomic.write_json(tmp_path / "a.json", {"value": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_the_same_digest_goes_on_and_is_done_after_its_result(tmp_path: Path) -> None:
    run = open_run(tmp_path / "run", DESCRIPTION)
    assert not open_run(tmp_path / "run", DESCRIPTION).done
    run.path("checkpoint.pt").write_bytes(b"weights")
    run.finish({"metrics": {}})
    assert open_run(tmp_path / "run", DESCRIPTION).done
    assert {p.name for p in run.folder.iterdir()} == {"config.json", "result.json"}


def test_another_config_is_refused_with_the_difference_unless_forced(tmp_path: Path) -> None:
    open_run(tmp_path / "run", DESCRIPTION).finish({"metrics": {}})
    other = {"digest": "bb", "config": {"mixing": {"alpha": 0.5}}}
    with pytest.raises(UserError, match=r"config\.mixing\.alpha: 1\.0 there, 0\.5 here"):
        open_run(tmp_path / "run", other)
    assert open_run(tmp_path / "run", DESCRIPTION).done, "a refusal loses nothing"
    assert not open_run(tmp_path / "run", other, force=True).done


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"is not a run.*holiday\.jpg"):
        open_run(tmp_path, DESCRIPTION)


def test_a_config_json_half_written_by_hand_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"dig')
    with pytest.raises(UserError, match=r"config\.json: expected a run's config"):
        open_run(tmp_path, DESCRIPTION)


def test_the_log_is_cut_back_to_the_checkpoint(tmp_path: Path) -> None:
    run = open_run(tmp_path / "run", DESCRIPTION)
    for step in (50, 100, 150):
        run.log(step=step, loss=1.0)
    with run.path("metrics.jsonl").open("a") as file:
        file.write('{"step": 2')  # killed here
    run.keep_log(100)
    lines = [json.loads(line)["step"] for line in run.path("metrics.jsonl").read_text().splitlines()]
    assert lines == [50, 100]


def test_progress_says_how_far_it_is(tmp_path: Path) -> None:
    run = open_run(tmp_path / "run", DESCRIPTION)
    run.progress(done=0, total=10, phase="train")
    run.progress(done=10, total=10, phase="train", loss=0.5)
    state = json.loads(run.path("progress.json").read_text())
    assert (state["done"], state["total"], state["loss"], state["pid"]) == (10, 10, 0.5, os.getpid())
