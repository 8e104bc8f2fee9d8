"""What a person sees of a run: a bar on a terminal, lines elsewhere, TensorBoard's numbers as metrics.jsonl's."""

import io
import json
import logging
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)

from core import watch
from core.config import CHECKOUT
from core.run import open_run
from core.watch import Bars, Moment

MOMENT = Moment("train", 1024, 5000, "images", 412.4, 9.6, {"loss": 2.3149, "data_wait": 0.02, "top1": 0.431})


def test_a_moment_in_words() -> None:
    assert MOMENT.text() == ("1,024/5,000 images  10 s left  loss 2.315  top-1 43.1 %  412 images/s  data wait 2.0 %")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599.7, "1 h 0 min"),
        (7500, "2 h 5 min"),
        (100_000, "1 d 3 h"),
    ],
)
def test_time_left(seconds: float, text: str) -> None:
    assert Moment("train", 1, 2, "images", 1, seconds, {}).text() == f"1/2 images  {text} left  1 images/s"


def test_lines_where_there_is_no_terminal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = open_run(tmp_path / "quick_cutmix/seed0", {"digest": "aa"}, log_every=0.0)
    with caplog.at_level(logging.INFO):
        run.progress(done=0, total=10, loss=2.5, top1=0.25)
        run.progress(done=10, total=10, loss=1.5, top1=0.5, data_wait=0.1)
    assert caplog.messages[0] == "quick_cutmix/seed0: train: 0/10 images  loss 2.5  top-1 25.0 %"
    assert re.fullmatch(
        r"quick_cutmix/seed0: train: 10/10 images  0 s left  loss 1.5  top-1 50.0 %  [\d,]+ images/s  "
        r"data wait 10.0 %",
        caplog.messages[1],
    )


SCRIPT = """
import logging, sys, time
from pathlib import Path
from core.run import open_run
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
runs = [open_run(Path(sys.argv[1]) / name / "seed0", {"digest": name}) for name in ("one", "two")]
for step in range(2):
    for run in runs:
        run._last = 0.0  # do not wait for the next half second
        run.progress(done=step, total=4, loss=2.5, top1=.25, data_wait=.02)
    logging.info("epoch %d: top1_error 40.00 %%", step)
    print("printed", step)
if sys.argv[2] == "crash":
    raise RuntimeError("in the middle")
for run in runs:
    run.finish({})
logging.info("after")
"""


@pytest.mark.parametrize("how", ["finish", "crash"])
def test_bars_on_a_terminal(tmp_path: Path, how: str) -> None:
    terminal, other = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path), how], stdout=other, stderr=other, env=environment, cwd=CHECKOUT
    ) as process:
        os.close(other)
        said = b""
        try:
            while chunk := os.read(terminal, 65536):
                said += chunk
        except OSError:  # how Linux says that the other end is closed
            pass
    os.close(terminal)
    assert process.returncode == (1 if how == "crash" else 0)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.decode())
    assert re.search(
        r"one/seed0 train\W+1/4 images  \d+ s left  loss 2\.5  top-1 25\.0 %  \d+ images/s  data wait 2\.0 %", plain
    )
    assert "two/seed0 train" in plain
    lines = [line.split("\r")[-1] for line in plain.replace("\r\n", "\n").splitlines()]
    for line in ("epoch 0: top1_error 40.00 %", "printed 0", "epoch 1: top1_error 40.00 %", "printed 1"):
        assert line in lines, "whole, above the bars"
    assert said.rindex(b"\x1b[?25h") > said.rindex(b"\x1b[?25l"), "the cursor is back"
    assert ("after" in lines) == (how == "finish")
    assert ("RuntimeError: in the middle" in lines) == (how == "crash")


def test_a_forked_process_leaves_the_terminal_to_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    assert watch.bars() is watch.bars() is not None
    bars = Bars()
    monkeypatch.setattr(bars, "_process", os.getpid() + 1)
    bars.show("one", MOMENT)
    bars.remove("one")
    assert screen.getvalue() == ""
    monkeypatch.setenv("TERM", "dumb")
    assert watch.bars() is None


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard itself reads."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(e.step, round(e.value, 6)) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_has_the_lines_of_the_log(tmp_path: Path) -> None:
    run = open_run(tmp_path, {"digest": "aa"}, tensorboard=True)
    run.log(step=10, loss=2.5, lr=0.1)
    kept = run.log_size
    run.log(step=20, loss=9.0, note="text", wrong=float("nan"))
    run.lock = None  # killed, and its last lines are not in the checkpoint
    run = open_run(tmp_path, {"digest": "aa"}, tensorboard=True)
    run.keep_log(kept)
    run.log(step=20, loss=1.5, lr=0.1)
    run.log(step=20, epoch=1, top1_error=40.0)
    run.finish({})
    assert scalars(tmp_path / "tensorboard") == {
        "step/loss": [(10, 2.5), (20, 1.5)],
        "step/lr": [(10, 0.1), (20, 0.1)],
        "epoch/top1_error": [(20, 40.0)],
    }
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20, 20]


def test_no_tensorboard_unless_asked_for(tmp_path: Path) -> None:
    run = open_run(tmp_path, {"digest": "aa"})
    run.log(step=10, loss=2.5)
    run.keep_log(0)
    run.finish({})
    assert not (tmp_path / "tensorboard").exists()
