"""The scheduler with real workers and fake stages: order, overlap, failures, kills."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from launch.machine import Slot
from launch.plan import PlannedCell
from launch.pool import Pool, PoolError
from launch.run import Ended, Fate, Launch, Running, log_path, priorities

Make = Callable[..., PlannedCell]


class Quiet:
    def __init__(self) -> None:
        self.texts: list[str] = []

    def started(self, running: Running) -> None:
        self.texts.append(f"started {running.cell.key}")

    def ended(self, ended: Ended) -> None:
        self.texts.append(f"{ended.fate} {ended.cell.key}")

    def tick(self, running: Sequence[Running]) -> None:
        pass


def launch(cells: Sequence[PlannedCell], jobs: int = 1, **more: object) -> dict[str, Ended]:
    with Pool([Slot(i, None, 1) for i in range(jobs)], preload=(), grace=1.0) as pool:
        ends = Launch(cells, Path("runs"), pool, Quiet(), **more).run()  # type: ignore[arg-type]  # keyword arguments of tests
    return {ended.cell.key: ended for ended in ends}


def calls() -> list[tuple[str, float, int]]:
    lines = [line.split() for line in Path("calls.txt").read_text().splitlines()]
    return [(run, float(at), int(pid)) for run, at, pid in lines]


def test_cells_run_after_what_they_need_and_leave_logs(stages: Path, cell: Make) -> None:
    cells = [cell("pretrain/a"), cell("transfer/a", "pretrain/a"), cell("transfer/b", "transfer/a"), cell("pretrain/c")]
    ends = launch(cells, jobs=2)
    assert {ended.fate for ended in ends.values()} == {Fate.DONE}
    order = [run for run, _, _ in calls()]
    assert order.index("runs/pretrain/a") < order.index("runs/transfer/a") < order.index("runs/transfer/b")
    log = log_path(cells[1], Path("runs")).read_text()
    assert "python -m transfer configs/transfer/a.py --run runs/transfer/a" in log
    assert "said by runs/transfer/a" in log
    assert all(ended.max_rss > 2**20 for ended in ends.values())


def test_the_longest_way_starts_first(stages: Path, cell: Make) -> None:
    cells = [
        cell("pretrain/short", images=300),
        cell("pretrain/long", images=100),
        cell("transfer/long", "pretrain/long", images=500),
    ]
    assert priorities(cells) == {"transfer/long": 501, "pretrain/long": 602, "pretrain/short": 301}
    launch(cells)
    assert [run for run, _, _ in calls()] == ["runs/pretrain/long", "runs/transfer/long", "runs/pretrain/short"]


def test_two_slots_overlap(stages: Path, cell: Make) -> None:
    # Each waits for the other to have begun: one after the other, both would fail.
    wait = "not [time.sleep(.05) for _ in range(200) if len(Path('calls.txt').read_text().splitlines()) < 2] or 0"
    do = f"({wait}) and (1 if len(Path('calls.txt').read_text().splitlines()) < 2 else 0)"
    ends = launch([cell("pretrain/a", do=do), cell("pretrain/b", do=do)], jobs=2)
    assert [ended.fate for ended in ends.values()] == [Fate.DONE, Fate.DONE]
    (_, first, one), (_, second, two) = calls()
    assert one != two
    assert ends["pretrain/a"].seconds < 9
    assert abs(first - second) < 9


def test_a_failure_blocks_what_needs_it_and_nothing_else(stages: Path, cell: Make) -> None:
    cells = [
        cell("pretrain/bad", do="[print('last words'), 1/0]"),
        cell("transfer/bad", "pretrain/bad"),
        cell("transfer/worse", "transfer/bad"),
        cell("pretrain/good"),
        cell("transfer/good", "pretrain/good"),
    ]
    ends = launch(cells)
    assert [ended.fate for ended in ends.values()] == [Fate.FAILED, Fate.BLOCKED, Fate.BLOCKED, Fate.DONE, Fate.DONE]
    assert ends["pretrain/bad"].reason == "exit code 1"
    assert ends["pretrain/bad"].tail[0] == "said by runs/pretrain/bad"
    assert "last words" in ends["pretrain/bad"].tail
    assert ends["pretrain/bad"].tail[-1] == "ZeroDivisionError: division by zero"
    assert ends["transfer/worse"].reason == "pretrain/bad"


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL, out of memory?"),
        ("os.abort()", "killed by SIGABRT"),
        ("os._exit(7)", "exit code 7"),
        ("sys.exit('a message')", "exit code 1"),
        (
            "os.kill(os.getppid(), signal.SIGKILL) or time.sleep(30)",
            "its worker died (killed by SIGKILL, out of memory?)",
        ),
        ("os.unlink('nothing') if False else os._exit(0)", "exit code 0, but there is no result.json"),
    ],
)
def test_a_crash_costs_that_cell_alone(stages: Path, cell: Make, do: str, reason: str) -> None:
    ends = launch([cell("pretrain/crash", do=do, images=999), cell("pretrain/next"), cell("pretrain/last")])
    assert ends["pretrain/crash"].fate is Fate.FAILED
    assert ends["pretrain/crash"].reason == reason
    assert [ends[key].fate for key in ("pretrain/next", "pretrain/last")] == [Fate.DONE, Fate.DONE]
    assert calls()[0][0] == "runs/pretrain/crash"


def test_children_of_a_killed_worker_are_ended(stages: Path, cell: Make) -> None:
    launch([cell("pretrain/a", do="os.kill(os.getppid(), signal.SIGKILL) or time.sleep(60)")])
    (_, _, pid) = calls()[0]
    _wait_until(lambda: not alive(pid))


def test_finished_cells_are_skipped_and_incomplete_ones_go_on(stages: Path, cell: Make) -> None:
    cells = [cell("pretrain/a"), cell("transfer/a", "pretrain/a", do="5")]
    first = launch(cells)
    assert [ended.fate for ended in first.values()] == [Fate.DONE, Fate.FAILED]
    again = launch([cells[0], cell("transfer/a", "pretrain/a")])
    assert [ended.fate for ended in again.values()] == [Fate.SKIPPED, Fate.DONE]
    assert [run for run, _, _ in calls()] == ["runs/pretrain/a", "runs/transfer/a", "runs/transfer/a"]


def test_a_result_of_another_digest_than_planned_is_a_failure(stages: Path, cell: Make) -> None:
    write = "Path(run / 'result.json').write_text('{\"digest\": \"else\"}') and os._exit(0)"
    ends = launch([cell("pretrain/a", do=write)])
    assert "another digest than the plan" in ends["pretrain/a"].reason
    asked = []
    launch([cell("pretrain/b", do=write), cell("pretrain/c")], forget=lambda: asked.append("forget"))
    assert asked == ["forget"]


def test_force_is_passed_only_to_runs_of_another_config(stages: Path, cell: Make) -> None:
    for name, digest in (("other", "else"), ("begun", "runs/pretrain/begun")):
        folder = Path(f"runs/pretrain/{name}")
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(f'{{"digest": "{digest}"}}')
    cells = [cell("pretrain/other"), cell("pretrain/begun"), cell("pretrain/new")]
    launch(cells, force=True)
    assert [("--force" in log_path(c, Path("runs")).read_text()) for c in cells] == [True, False, False]


def test_stopping_ends_children_and_says_what_was_not_done(stages: Path, cell: Make) -> None:
    started = time.monotonic()

    def stop() -> bool:
        return Path("calls.txt").is_file() or time.monotonic() > started + 30

    do = "[signal.signal(signal.SIGTERM, signal.SIG_IGN), time.sleep(60)]"  # has to be killed
    ends = launch([cell("pretrain/a", do=do), cell("transfer/a", "pretrain/a")], stop=stop)
    assert {key: (e.fate, e.reason) for key, e in ends.items()} == {
        "pretrain/a": (Fate.STOPPED, "was running"),
        "transfer/a": (Fate.STOPPED, "was not started"),
    }
    _wait_until(lambda: not alive(calls()[0][2]))
    assert time.monotonic() - started < 20


def test_a_stop_reaches_the_cell_and_not_its_data_loaders(stages: Path, cell: Make) -> None:
    """A loader that is killed fails the training before it has saved its checkpoint."""
    script = (
        "def stage(*_):\n"
        "    loader.send_signal(0), open('loader.txt', 'w').write(str(loader.poll())), sys.exit(3)\n"
        "import subprocess\n"
        "loader = subprocess.Popen(['sleep', '60'])\n"
        "signal.signal(signal.SIGTERM, stage), open('ready', 'w').close(), time.sleep(60)\n"
    )
    do = f"exec({script!r}, globals()) or 0"
    ends = launch([cell("pretrain/a", do=do)], stop=Path("ready").exists)
    assert ends["pretrain/a"].fate is Fate.STOPPED
    assert Path("loader.txt").read_text() == "None", "the loader was alive when the cell heard of the stop"


def test_a_preload_that_fails_ends_the_launch_with_its_words(stages: Path, cell: Make) -> None:
    with (
        Pool([Slot(0, None, 1)], preload=("no_such_module",)) as pool,
        pytest.raises(PoolError, match="no_such_module"),
    ):
        Launch([cell("pretrain/a")], Path("runs"), pool, Quiet()).run()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # An ended child whose parent died waits for its new parent to notice.
    return ") Z " not in Path(f"/proc/{pid}/stat").read_text() if Path(f"/proc/{pid}").exists() else False


def _wait_until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
