"""Files are whole or not there; a run's folder skips, refuses and goes on."""

import contextlib
import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from core import atomic, backbone, checkpoint
from core.config import CHECKOUT
from core.errors import UserError
from core.run import open_run
from tests.core.networks import TINY_SPEC

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
    assert {p.name for p in run.folder.iterdir()} == {"config.json", "checkpoint.pt", ".lock"}


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


@pytest.mark.parametrize("config", [None, '{"model_type": "vit"}', '{"dig'])
def test_force_removes_runs_alone(tmp_path: Path, config: str | None) -> None:
    """`--force --run ~` must not empty a home; nor a model's folder, as other programs write a config.json too."""
    for name, content in {"holiday.jpg": "x", "album/summer.jpg": "x", "config.json": config}.items():
        if content is not None:
            atomic.write_text(tmp_path / name, content)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=r"replaces a run and nothing else; .* there are album, .*Nothing was removed"):
        open_run(tmp_path, DESCRIPTION, force=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_force_empties_a_run_and_takes_an_empty_folder(tmp_path: Path) -> None:
    atomic.write_bytes(open_run(tmp_path, DESCRIPTION, force=True).path("maps/0.npy"), b"")
    run = open_run(tmp_path, {"digest": "bb"}, force=True)
    assert {p.name for p in tmp_path.iterdir()} == {"config.json", ".lock"}
    assert json.loads(run.path("config.json").read_text()) == {"digest": "bb"}


def test_a_second_process_in_the_folder_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    """After SIGKILL too, although a data loader that the first one forked lives on; and force changes nothing."""
    script = (
        "import os, sys, time; from pathlib import Path; from core.run import open_run\n"
        "run = open_run(Path(sys.argv[1]), {'digest': 'aa'})\n"
        "loader = os.fork() or (time.sleep(60), os._exit(0))\n"
        "print(loader, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
    ) as first:
        assert first.stdout is not None
        loader = int(first.stdout.readline())
        try:
            for force in (False, True):
                with pytest.raises(UserError, match=rf"{tmp_path / 'run'}: process {first.pid} on .* is at work"):
                    open_run(tmp_path / "run", {"digest": "bb"}, force=force)
            first.kill()
            first.wait()
            os.kill(loader, 0)  # is there
            assert not open_run(tmp_path / "run", DESCRIPTION).done
        finally:
            os.kill(loader, signal.SIGKILL)


def test_a_run_that_is_done_leaves_no_lock_and_needs_none(tmp_path: Path) -> None:
    open_run(tmp_path, DESCRIPTION).finish({})
    assert open_run(tmp_path, DESCRIPTION).lock is None
    assert not (tmp_path / ".lock").exists()


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    run = open_run(tmp_path, DESCRIPTION)
    left = [run.path(name) for name in (".checkpoint.pt.77.tmp", ".result.json.77.tmp", "progress.json.tmp")]
    for again in (lambda: open_run(tmp_path, DESCRIPTION), lambda: run.finish({})):
        for path in left:
            path.touch()
        again()
        assert not any(path.exists() for path in left)


def test_seconds_count_the_killed_processes_too(tmp_path: Path) -> None:
    first = open_run(tmp_path, DESCRIPTION)
    first.started -= 100.0
    first.progress(done=1, total=2)
    second = open_run(tmp_path, DESCRIPTION)  # the first is killed here
    second.started -= 10.0
    assert second.seconds == pytest.approx(110.0, abs=2.0)
    second.progress(done=1, total=2)
    assert open_run(tmp_path, DESCRIPTION).seconds == pytest.approx(110.0, abs=2.0)


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file grows beyond `size` bytes: the system refuses a write in its midst, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_bar_that_cannot_be_written_kills_no_run(tmp_path: Path) -> None:
    run = open_run(tmp_path, DESCRIPTION)
    with largest_file(10):
        run.progress(done=1, total=2)
    assert not run.path("progress.json").exists()


def test_a_disk_without_room_is_said_with_the_files_name(tmp_path: Path) -> None:
    """torch.save and safetensors have words of their own for it, which name neither."""
    saves: dict[str, Callable[[], None]] = {
        "checkpoint.pt": lambda: checkpoint.save(tmp_path, {"model": {"weight": torch.zeros(100_000)}}),
        "backbone.safetensors": lambda: backbone.save(
            tmp_path / "backbone.safetensors", torch.nn.Linear(300, 300), TINY_SPEC
        ),
        "result.json": lambda: atomic.write_text(tmp_path / "result.json", "x" * 100_000),
    }
    for name, save in saves.items():
        with largest_file(50_000), pytest.raises(OSError, match=re.escape(str(tmp_path / name))) as caught:
            save()
        assert caught.value.errno == errno.EFBIG
        assert list(tmp_path.iterdir()) == []
        save()
        (tmp_path / name).unlink()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"is not a run.*holiday\.jpg"):
        open_run(tmp_path, DESCRIPTION)
    assert [p.name for p in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_config_json_half_written_by_hand_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"dig')
    with pytest.raises(UserError, match=r"config\.json: expected a run's config"):
        open_run(tmp_path, DESCRIPTION)


def test_the_log_is_cut_back_to_the_checkpoint(tmp_path: Path) -> None:
    run = open_run(tmp_path / "run", DESCRIPTION)
    assert run.log_size == 0
    sizes = []
    for step in (50, 100, 150):
        run.log(step=step, loss=1.0)
        sizes.append(run.log_size)
    with run.path("metrics.jsonl").open("a") as file:
        file.write('{"step": 2')  # killed here
    for size, kept in ((10**6, [50, 100, 150]), (sizes[1], [50, 100]), (sizes[1] - 1, [50]), (0, [])):
        run.keep_log(size)
        assert [json.loads(line)["step"] for line in run.path("metrics.jsonl").read_text().splitlines()] == kept


def test_progress_says_how_far_it_is(tmp_path: Path) -> None:
    run = open_run(tmp_path / "run", DESCRIPTION)
    run.progress(done=0, total=10, phase="train")
    run.progress(done=10, total=10, phase="train", loss=0.5)
    state = json.loads(run.path("progress.json").read_text())
    assert (state["done"], state["total"], state["loss"], state["pid"]) == (10, 10, 0.5, os.getpid())
