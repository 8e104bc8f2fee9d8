"""One pretraining in two processes through the command: what one process finds, to rounding; one folder, one writer."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from core import backbone, processes
from core.config import CHECKOUT
from core.errors import UserError
from pretrain.__main__ import main
from tests.data import layouts
from tests.pretrain.tiny import CONFIG, config, images


class Done(NamedTuple):
    """Where the data and the runs are, and what three calls in two processes said: a run, the same again, a refusal."""

    root: Path
    args: list[str]
    out: list[str]
    err: str


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    root = images(tmp_path_factory.mktemp("ranks"))
    args = [str(layouts.write(root / "tiny.py", CONFIG)), "--data-root", str(root)]
    layouts.write(root / "taken/notes.txt", "mine")
    calls = [[*args, "--run", str(root / name)] for name in ("two", "two", "taken")]
    file = layouts.write(root / "calls.json", json.dumps(calls))
    ended = subprocess.run(
        [sys.executable, "-m", "tests.pretrain.ranks", str(file)],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return Done(root, args, ended.stdout.split("exit codes "), ended.stderr)


def epochs(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "epoch" in line]


def test_two_processes_find_what_one_does(done: Done) -> None:
    assert done.out[1].startswith("[0, 0]"), done.err
    assert "2 processes" in done.out[0]
    assert done.out[0].count("top1_error:") == 1, "the first process alone speaks"
    one, two = done.root / "one", done.root / "two"
    assert main([*done.args, "--run", str(one)]) == 0
    results = [json.loads((folder / "result.json").read_text()) for folder in (one, two)]
    assert results[0]["digest"] == results[1]["digest"]
    assert results[0]["metrics"] == results[1]["metrics"]
    assert [found["processes"] for found in results] == [1, 2]
    for line, other in zip(epochs(one), epochs(two), strict=True):
        assert other == {name: pytest.approx(value, abs=1e-5) for name, value in line.items()}
    logits = [np.load(folder / "logits.npy").astype(np.float32) for folder in (one, two)]
    assert np.abs(logits[0] - logits[1]).max() < 2e-3
    weights = [backbone.load(folder).model.state_dict() for folder in (one, two)]
    assert max(float((weights[0][name] - weights[1][name]).abs().max()) for name in weights[0]) < 1e-5


def test_a_run_that_is_done_is_skipped_by_all(done: Done) -> None:
    assert done.out[1].count("done already") == 1
    assert done.out[2].startswith("[0, 0]"), done.err


def test_what_the_first_process_refuses_stops_all(done: Done) -> None:
    assert done.out[3].startswith("[2, 2]"), done.err
    assert "taken is not a run" in done.err


def test_several_configs_want_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(layouts.write(tmp_path / f"{name}.py", CONFIG)) for name in "ab"]
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(paths) == 2
    assert "WORLD_SIZE=2 and 2 configs: expected one config" in capsys.readouterr().err
    monkeypatch.setenv("WORLD_SIZE", "many")
    with pytest.raises(UserError, match="WORLD_SIZE=many: expected the number"):
        processes.count()


def test_too_few_gpus_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": 4, "RANK": 0, "LOCAL_RANK": 0, "MASTER_ADDR": "here", "MASTER_PORT": 1}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    with pytest.raises(UserError, match="4 processes on this machine: expected a GPU for each, torch sees 3"):
        processes.fabric(config(device="auto"))


def test_lacking_variables_of_torchrun_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(UserError, match="WORLD_SIZE=2 without LOCAL_RANK, MASTER_ADDR, MASTER_PORT"):
        processes.fabric(config())
