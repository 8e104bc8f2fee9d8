"""One pretraining in two processes through the command: what one process finds, to rounding; one folder, one writer."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import backbone, processes
from core.config import CHECKOUT
from core.errors import UserError
from pretrain.__main__ import main
from tests.data import layouts
from tests.pretrain.tiny import CONFIG, config, images


def in_two(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.pretrain.ranks", *words]
    return subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def epochs(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "epoch" in line]


def test_two_processes_find_what_one_does(tmp_path: Path) -> None:
    images(tmp_path)
    path = str(layouts.write(tmp_path / "tiny.py", CONFIG))
    args = [path, "--data-root", str(tmp_path)]
    assert main([*args, "--run", str(tmp_path / "one")]) == 0
    done = in_two(*args, "--run", str(tmp_path / "two"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 processes" in done.stdout
    assert done.stdout.count("top1_error:") == 1, "the first process alone speaks"
    one, two = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two"))
    assert one["digest"] == two["digest"]
    assert one["metrics"] == two["metrics"]
    for line, other in zip(epochs(tmp_path / "one"), epochs(tmp_path / "two"), strict=True):
        assert other == {name: pytest.approx(value, abs=1e-5) for name, value in line.items()}
    logits = [np.load(tmp_path / name / "logits.npy").astype(np.float32) for name in ("one", "two")]
    assert np.abs(logits[0] - logits[1]).max() < 2e-3
    assert backbone.load(tmp_path / "two").spec == backbone.load(tmp_path / "one").spec
    again = in_two(*args, "--run", str(tmp_path / "two"))
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.count("done already") == 1


def test_what_the_first_process_refuses_stops_all(tmp_path: Path) -> None:
    images(tmp_path)
    path = str(layouts.write(tmp_path / "tiny.py", CONFIG))
    (tmp_path / "taken").mkdir()
    layouts.write(tmp_path / "taken/notes.txt", "mine")
    done = in_two(path, "--data-root", str(tmp_path), "--run", str(tmp_path / "taken"))
    assert "exit codes [2, 2]" in done.stdout
    assert "is not a run" in done.stderr


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


def test_lacking_variables_of_torchrun_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(UserError, match="WORLD_SIZE=2 without LOCAL_RANK, MASTER_ADDR, MASTER_PORT"):
        processes.fabric(config())
