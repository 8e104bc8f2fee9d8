"""Parts over processes: errors, a worker that is killed, a parent that is killed."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from eval.errors import EvalError
from wsol.evaluate import pool
from wsol.evaluate.pool import WorkerDied
from wsol.evaluate.work import Task, Work

ROOT = Path(__file__).resolve().parents[2]
PARENT = """
import sys
from pathlib import Path
from tests.wsol.test_evaluate_pool import Acting, tasks
from wsol.evaluate import pool
folder = Path(sys.argv[1])
for _ in pool.run(Acting.make(folder), tasks(folder, "pid", "sleep", "sleep"), 2, lambda: None):
    print("done", flush=True)
"""


@dataclass(frozen=True, eq=False)
class Acting(Work):
    """Does what a task's file is called."""

    @classmethod
    def make(cls, folder: Path) -> "Acting":
        return cls((), (), False, folder)

    def do(self, task: Task) -> int:
        act = task.path.name.partition(".")[0]
        if act == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if act == "bad":
            raise EvalError("im/7.jpg: NaN")
        task.path.write_text(str(os.getpid()))
        if act == "nap":
            time.sleep(0.1)
        if act == "sleep":
            time.sleep(60)
        return 256


def tasks(folder: Path, *acts: str) -> list[Task]:
    return [Task(0, 0, number, folder / f"{act}.{number}") for number, act in enumerate(acts)]


def go_on() -> None:
    """Nobody stops the work."""


@pytest.mark.parametrize("jobs", [1, 2])
def test_all_parts_are_done(tmp_path: Path, jobs: int) -> None:
    todo = tasks(tmp_path, "a", "b", "c", "d", "e")
    assert list(pool.run(Acting.make(tmp_path), todo, jobs, go_on)) == [256] * 5
    workers = {task.path.read_text() for task in todo}
    assert (str(os.getpid()) in workers) == (jobs == 1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_of_a_part_arrives(tmp_path: Path, jobs: int) -> None:
    with pytest.raises(EvalError, match=r"^im/7\.jpg: NaN$"):
        list(pool.run(Acting.make(tmp_path), tasks(tmp_path, "a", "bad", "c"), jobs, go_on))


@pytest.mark.parametrize("jobs", [1, 2])
def test_work_stops_between_parts(tmp_path: Path, jobs: int) -> None:
    def stop() -> None:
        if any(tmp_path.iterdir()):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(
            pool.run(Acting.make(tmp_path), tasks(tmp_path, *["nap"] * 16), jobs, stop)
        )  # not all of them before it is asked
    assert all(path.read_text() for path in tmp_path.iterdir())  # those under way were finished
    assert 1 <= len(list(tmp_path.iterdir())) < 16


def test_a_killed_worker_is_said(tmp_path: Path) -> None:
    todo = tasks(tmp_path, "a", "die", *"bcdefgh")
    with pytest.raises(WorkerDied, match="finished parts are kept"):
        list(pool.run(Acting.make(tmp_path), todo, 2, go_on))


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, tmp_path], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline()  # one is done; two sleep
        while not all((tmp_path / name).is_file() and (tmp_path / name).read_text() for name in ("sleep.1", "sleep.2")):
            time.sleep(0.05)
        workers = {int((tmp_path / name).read_text()) for name in ("sleep.1", "sleep.2")}
        parent.kill()
    until = time.monotonic() + 10
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, workers))


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")  # one that nobody waits for stays as a zombie in a container
    return not (state.is_file() and state.read_text().rpartition(")")[2].split()[0] == "Z")
