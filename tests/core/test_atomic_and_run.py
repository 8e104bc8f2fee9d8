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
from core.lock import Lock
from core.run import Run, open_run
from tests.core.networks import TINY_SPEC

DESCRIPTION = {"digest": "aa", "config": {"mixing": {"alpha": 1.0}}}


def killed(run: Run) -> None:
    """What a kill leaves of a run's process: no lock, but the lock's file."""
    run.lock = None


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
    killed(open_run(tmp_path / "run", DESCRIPTION))
    run = open_run(tmp_path / "run", DESCRIPTION)
    assert not run.done
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
    killed(run := open_run(tmp_path, DESCRIPTION, force=True))
    atomic.write_bytes(run.path("maps/0.npy"), b"")
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
    killed(run := open_run(tmp_path, DESCRIPTION))
    left = [run.path(name) for name in (".checkpoint.pt.77.tmp", ".result.json.77.tmp", "progress.json.tmp")]
    for path in left:
        path.touch()
    run = open_run(tmp_path, DESCRIPTION)
    assert not any(path.exists() for path in left)
    for path in left:
        path.touch()
    run.finish({})
    assert not any(path.exists() for path in left)


def test_a_kill_while_a_run_is_cleared_leaves_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each removal: what is left never counts as done, and --force or the same config takes it."""
    names = ["result.json", "config.json", "metrics.jsonl", "backbone.safetensors", "predictions.json"]
    unlink, other = Path.unlink, {"digest": "bb"}
    for removals in range(1, len(names)):
        folder = tmp_path / str(removals)
        open_run(folder, DESCRIPTION).finish({})
        for name in names[2:]:
            atomic.write_bytes(folder / name, b"")
        left = [removals]

        def killing(path: Path, missing_ok: bool = False, left: list[int] = left) -> None:
            if path.name in names:
                if not left[0]:
                    raise KeyboardInterrupt
                left[0] -= 1
            unlink(path, missing_ok=missing_ok)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", killing)
            with pytest.raises(KeyboardInterrupt):
                open_run(folder, other, force=True)
        with pytest.raises(UserError, match="another config"):
            open_run(folder, other)
        killed(again := open_run(folder, DESCRIPTION))
        assert not again.done
        assert not open_run(folder, other, force=True).done
        assert {path.name for path in folder.iterdir()} == {"config.json", ".lock"}


def test_a_kill_after_the_result_leaves_nothing_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = open_run(tmp_path, DESCRIPTION)
    run.progress(done=1, total=2)
    for name in ("checkpoint.pt", "checkpoint.previous.pt", "parts/0.npz", ".result.json.77.tmp", "predictions.json"):
        atomic.write_bytes(run.path(name), b"x")
    with monkeypatch.context() as patch:
        patch.setattr("core.run._tidy", lambda _: killed(run))
        run.finish({})
    assert run.path("checkpoint.pt").exists()
    assert open_run(tmp_path, DESCRIPTION).done
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "result.json", "predictions.json"}


def test_a_finished_run_that_cannot_be_tidied_is_done_all_the_same(tmp_path: Path) -> None:
    """Another process is still finishing it: it has the lock."""
    open_run(tmp_path, DESCRIPTION).finish({})
    (tmp_path / "checkpoint.pt").touch()
    held = Lock(tmp_path)
    assert open_run(tmp_path, DESCRIPTION).done
    assert (tmp_path / "checkpoint.pt").exists()
    held.release()
    assert open_run(tmp_path, DESCRIPTION).done
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_process_takes_a_folder_once_at_a_time(tmp_path: Path) -> None:
    """The system would grant a second lock, and drop the first with it."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    first = Lock(tmp_path / "folder")
    for name in ("folder", "link"):
        with pytest.raises(UserError, match=f"{name}: this process is at work in this folder already"):
            Lock(tmp_path / name)
    code = "import sys; from pathlib import Path; from core.lock import Lock; Lock(Path(sys.argv[1]))"
    other = [sys.executable, "-c", code, str(tmp_path / "folder")]
    assert b"is at work" in subprocess.run(other, cwd=CHECKOUT, capture_output=True, check=False).stderr
    first.release()
    second = Lock(tmp_path / "folder")
    del second  # as release, but for the file
    Lock(tmp_path / "folder").release()


def test_of_many_processes_one_at_a_time_has_the_lock(tmp_path: Path) -> None:
    """They take it and give it back as fast as they can; the file `inside` is there while one of them has it."""
    script = (
        "import os, sys, time; from pathlib import Path\n"
        "from core.errors import UserError; from core.lock import Lock\n"
        "folder, inside = Path(sys.argv[1], 'run'), Path(sys.argv[1], 'inside')\n"
        "children = []\n"
        "while len(children) < 5 and (not children or children[-1]): children.append(os.fork())\n"
        "end, count = time.time() + 1.2, 0\n"
        "while time.time() < end:\n"
        "    try: lock = Lock(folder)\n"
        "    except UserError: continue\n"
        "    try: os.close(os.open(inside, os.O_CREAT | os.O_EXCL))\n"
        "    except FileExistsError: os.write(1, b'two '); os._exit(1)\n"
        "    count += 1\n"
        "    os.unlink(inside); lock.release()\n"
        "os.write(1, f'{count} '.encode())\n"
        "if children[-1]: [os.waitpid(child, 0) for child in children]\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    counts = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False).stdout.split()
    assert "two" not in counts, "two processes had the lock at once"
    assert sum(map(int, counts)) > 10, "they do take turns"


def test_seconds_count_the_killed_processes_too(tmp_path: Path) -> None:
    first = open_run(tmp_path, DESCRIPTION)
    first.started -= 100.0
    first.progress(done=1, total=2)
    killed(first)
    second = open_run(tmp_path, DESCRIPTION)
    second.started -= 10.0
    assert second.seconds == pytest.approx(110.0, abs=2.0)
    second.progress(done=1, total=2)
    killed(second)
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
