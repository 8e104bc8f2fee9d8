"""What a launch shows: lines, bars, the dry run's states, the forecast."""

import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from launch.plan import PlannedCell
from launch.progress import Bars, Forecast, Lines, Snapshot, watcher
from launch.run import Ended, Fate, Running
from launch.state import State, state_of

Make = Callable[..., PlannedCell]


def write_progress(folder: Path, **values: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    known = {"done": 1024, "total": 5000, "unit": "images", "per_second": 412.4, "left_s": 70.2, "phase": "train"}
    (folder / "progress.json").write_text(json.dumps({**known, "pid": 1, "time": 0.0, **values}))


def test_a_snapshot_in_words(tmp_path: Path) -> None:
    assert Snapshot.read(tmp_path) is None
    (tmp_path / "progress.json").write_text('{"done": 3, "tot')  # never written half, but a disk may lie
    assert Snapshot.read(tmp_path) is None
    write_progress(tmp_path, loss=2.3149)
    snapshot = Snapshot.read(tmp_path)
    assert snapshot is not None
    assert snapshot.text() == "train 1,024/5,000 images, loss 2.315, 412 images/s, 1 min 10 s left"
    write_progress(tmp_path, loss=2.3149, top1=0.25, data_wait=0.0312)
    assert (Snapshot.read(tmp_path) or snapshot).text() == (
        "train 1,024/5,000 images, loss 2.315, top-1 25.0 %, 412 images/s, data wait 3.1 %, 1 min 10 s left"
    )
    write_progress(tmp_path, per_second=0, phase="test")
    assert (Snapshot.read(tmp_path) or snapshot).text() == "test 1,024/5,000 images"


def test_lines_tell_starts_ends_and_now_and_then_what_runs(tmp_path: Path, cell: Make) -> None:
    out = io.StringIO()
    one, two, three = cell("pretrain/a"), cell("transfer/a", "pretrain/a"), cell("pretrain/b")
    write_progress(tmp_path / one.key, loss=1.5)
    with watcher([one, two, three], tmp_path, 1, out) as shown:
        assert isinstance(shown, Lines)
        shown.ended(Ended(three, Fate.SKIPPED))
        running = Running(one, 0, time.monotonic() - 95)
        shown.started(running)
        shown.tick([running])
        shown.heartbeat = 0.0
        shown.tick([running])
        shown.ended(Ended(one, Fate.FAILED, "exit code 1\nmore", 61.0, 2**29))
        shown.ended(Ended(two, Fate.BLOCKED, "pretrain/a"))
    assert out.getvalue().splitlines() == [
        "[1/3] started pretrain/a",
        "[1/3] running pretrain/a for 1 min 35 s: train 1,024/5,000 images, loss 1.500, 412 images/s, 1 min 10 s left",
        "[2/3] failed pretrain/a in 1 min 1 s (512 MiB): exit code 1",
        "[3/3] blocked transfer/a: it needs pretrain/a",
    ]


def test_bars_show_the_table_and_each_running_cell(tmp_path: Path, cell: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    monkeypatch.setenv("TERM", "xterm")
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    cells = [cell("pretrain/a"), cell("transfer/a", "pretrain/a"), cell("pretrain/b")]
    write_progress(tmp_path / "pretrain/b", loss=1.5)
    shown = watcher(cells, tmp_path, 2, terminal)
    assert isinstance(shown, Bars)
    shown.ended(Ended(cells[0], Fate.DONE, "", 10.0, 2**29))
    shown.tick([Running(cells[1], 0, time.monotonic()), Running(cells[2], 1, time.monotonic())])
    for width in (40, 160):  # one line each, however narrow
        narrow = Console(width=width, file=(drawn := io.StringIO()))
        narrow.print(shown.render())
        assert len(drawn.getvalue().splitlines()) == 3
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(shown.render())
    text = console.export_text()
    assert "1/3 settled after 0 s, about 10 s left" in text
    assert "running for 0 s" in text
    assert "train 1,024/5,000 images, loss 1.500, 412 images/s" in text


def test_the_forecast_goes_by_config_and_jobs(cell: Make) -> None:
    forecast = Forecast(jobs=2)
    assert forecast.left([cell("transfer/b")], {}, {}) is None
    forecast.add(Ended(cell("pretrain/a", images=1000), Fate.DONE, "", 10.0))
    forecast.add(Ended(cell("pretrain/x", images=1000), Fate.FAILED, "", 99.0))
    assert forecast.left([cell("pretrain/a", images=4000)], {}, {}) == pytest.approx(20.0)
    running = {"pretrain/a": cell("pretrain/a", images=6000)}
    assert forecast.left([], {"pretrain/a": 15.0}, running) == pytest.approx(45.0)  # one cell cannot use two slots
    forecast.add(Ended(cell("transfer/b", images=10), Fate.DONE, "", 30.0))
    assert forecast.left([cell("transfer/b", images=20)], {}, {}) == pytest.approx(30.0)


def test_states_from_the_folder_alone(tmp_path: Path, cell: Make) -> None:
    one = cell("pretrain/a")
    folder = tmp_path / one.key
    folder.mkdir(parents=True)
    assert state_of(one, tmp_path) is State.MISSING
    (folder / "config.json").write_text(json.dumps({"digest": one.digest}))
    assert state_of(one, tmp_path) is State.INCOMPLETE
    (folder / "config.json").write_text(json.dumps({"digest": "else"}))
    assert state_of(one, tmp_path) is State.OTHER
    for text, state in (('{"digest": "else"}', State.OTHER), ("{", State.OTHER), ("[]", State.OTHER)):
        (folder / "result.json").write_text(text)
        assert state_of(one, tmp_path) is state
    (folder / "result.json").write_text(json.dumps({"digest": one.digest, "config_digest": "c"}))
    assert state_of(one, tmp_path) is State.DONE


def test_without_data_the_config_decides_what_is_done(tmp_path: Path) -> None:
    folder = tmp_path / "pretrain/a"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps({"digest": "d", "config_digest": "c"}))
    for config_digest, state in (("c", State.DONE), ("e", State.OTHER), (None, State.OTHER)):
        one = PlannedCell("pretrain/a", "pretrain", "pretrain/a", "a", 0, (), ("-m", "pretrain"), None, config_digest)
        assert state_of(one, tmp_path) is state
