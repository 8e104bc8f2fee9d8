"""`python -m launch` from end to end, on fake stages whose configs are real: resolve, run, skip, kill, dry run."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data.layouts import voc

CHECKOUT = Path(__file__).resolve().parents[2]

FAKES = """
import dataclasses, json, os, sys, time
from dataclasses import dataclass
from pathlib import Path
from core.config import load, digest, plain
from core.data.records import Need
from core.data.voc import VOC
from core.stage import Stage, cell_digest, fingerprint, upstream_digest

@dataclass(frozen=True, kw_only=True)
class Fake(Stage):
    do: str = "0"
    reads: tuple = ()
    data: VOC = VOC()
    def needs(self):
        return tuple(Need(self.data, split) for split in self.reads)
    def images(self, count):
        return 100 + sum(count(need) for need in self.needs())

def option(argv, name):
    return argv[argv.index(name) + 1] if name in argv else None

def main(argv):
    argv = [word for word in argv if word != "run"]
    config = dataclasses.replace(load(argv[0]), seed=int(option(argv, "--seed")))
    run, source = Path(option(argv, "--run")), option(argv, "--backbone")
    with Path("calls.txt").open("a") as calls:
        calls.write(f"{run.as_posix()} {os.getpid()}\\n")
    cell = cell_digest(config, fingerprint(config), upstream_digest(source))
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.json").write_text(json.dumps({"digest": cell}))
    code = eval(config.do)
    if code:
        return code
    metric = {"value": 50.0, "unit": "%", "higher_is_better": False}
    result = {"schema": 1, "stage": run.parts[1], "config": Path(argv[0]).stem, "seed": config.seed, "digest": cell,
              "row": option(argv, "--row") or Path(argv[0]).stem, "metrics": {"top1_error": metric}, "more": {},
              "config_digest": digest(plain(config, hashed_only=True))}
    (run / "result.json").write_text(json.dumps(result))
"""
TABLE = """
from eval.table import Column, Row, Table
config = Table(name="fake", rows=(Row("A", pretrain="pretrain/a"), Row("B", pretrain="pretrain/b")), baseline="A",
               columns=(Column("One", ("transfer/one",), "top1_error"),
                        Column("Loc", ("transfer/one", "wsol/loc"), "top1_error")))
"""


def config(tree: Path, name: str, fields: str = "") -> None:
    (tree / "configs" / f"{name}.py").write_text(f"from fakes import VOC, Fake\nconfig = Fake({fields})\n")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout whose stages are fakes, with their configs and the table `fake`: two rows, two columns, six cells."""
    for room in ("core", "eval", "launch"):  # a copy: the plan depends on these files too, which people edit meanwhile
        shutil.copytree(CHECKOUT / room, tmp_path / room)
    (tmp_path / "fakes.py").write_text(FAKES)
    for stage in ("pretrain", "transfer", "wsol"):
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "__init__.py").touch()
        (tmp_path / stage / "__main__.py").write_text("from fakes import main\n")
        (tmp_path / "configs" / stage).mkdir(parents=True)
    (tmp_path / "configs/tables").mkdir()
    (tmp_path / "configs/tables/fake.py").write_text(TABLE)
    for name in ("pretrain/a", "pretrain/b", "transfer/one", "wsol/loc"):
        config(tmp_path, name)
    return tmp_path


def start(tree: Path, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-X", "importtime", "-m", "launch", "configs/tables/fake.py", "--preload", "", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=tree, stdout=pipe, stderr=pipe, text=True, preexec_fn=hear_ctrl_c)


def hear_ctrl_c() -> None:
    """A shell that runs the tests in the background has them ignore Ctrl-C, and what they start inherits that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def launch(tree: Path, *words: str) -> tuple[int, str, set[str]]:
    """The exit code, what it printed, and the modules that it imported."""
    process = start(tree, *words)
    out, errors = process.communicate(timeout=120)
    imports = {line.split("|")[-1].strip() for line in errors.splitlines() if line.startswith("import time:")}
    said = "\n".join(line for line in errors.splitlines() if not line.startswith("import time:"))
    return process.returncode, out + said, imports


def calls(tree: Path) -> list[str]:
    file = tree / "calls.txt"
    return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []


CELLS = [f"runs/{stage}{row}/seed0" for row in "ab" for stage in ("pretrain/", "transfer/one/", "wsol/loc/one/")]


def test_a_second_launch_does_nothing_and_imports_no_torch(tree: Path) -> None:
    code, out, _ = launch(tree, "--jobs", "2")
    assert code == 0, out
    assert sorted(calls(tree)) == sorted(CELLS)
    assert "6 cells in" in out
    plan = tree / "runs/tables/fake.plan.json"
    written = plan.stat().st_mtime_ns
    code, out, imports = launch(tree)
    assert code == 0, out
    assert sorted(calls(tree)) == sorted(CELLS)
    assert plan.stat().st_mtime_ns == written
    assert "launch.plan" in imports  # the list is that of imports
    assert not {"torch", "core.stage", "numpy.linalg", "rich", "tyro"} & imports


def test_a_changed_config_is_seen_in_its_chain_alone(tree: Path) -> None:
    assert launch(tree)[0] == 0
    config(tree, "transfer/one", "log_every=3.0")  # cannot change a number
    assert launch(tree)[0] == 0
    assert len(calls(tree)) == 6
    config(tree, "pretrain/b", "precision='bf16-mixed'")
    code, out, _ = launch(tree, "--dry-run")
    assert code == 0
    for key in ("pretrain/b/seed0", "transfer/one/b/seed0", "wsol/loc/one/b/seed0"):
        assert f"{key}: other config" in out
    assert "3 done, 3 other config" in out


def test_a_failed_cell_costs_its_chain_alone(tree: Path) -> None:
    config(tree, "pretrain/a", "do='[print(\"last words\"), 1/0]'")
    code, out, _ = launch(tree)
    assert code == 1
    assert "failed: pretrain/a/seed0: exit code 1" in out
    assert "| last words" in out
    assert "| ZeroDivisionError: division by zero" in out
    assert "blocked: wsol/loc/one/a/seed0 needs pretrain/a/seed0" in out
    assert "3 done now, 1 failed, 2 blocked" in out
    config(tree, "pretrain/a")
    code, out, _ = launch(tree, "--force")
    assert (code, out.count("started")) == (0, 3)


def test_a_config_that_does_not_load_costs_its_chain_alone(tree: Path) -> None:
    (tree / "configs/transfer/one.py").write_text("config = 1 / 0\n")
    code, out, _ = launch(tree)
    assert code == 1
    assert sorted(calls(tree)) == ["runs/pretrain/a/seed0", "runs/pretrain/b/seed0"]
    assert "ZeroDivisionError: division by zero" in out
    assert "2 done now, 2 failed, 2 blocked" in out


def test_rows_columns_and_seeds_select(tree: Path) -> None:
    code, out, _ = launch(tree, "--rows", "b", "--columns", "one", "--seeds", "3,4")
    assert code == 0, out
    expected = [f"runs/{name}/b/seed{seed}" for name in ("pretrain", "transfer/one") for seed in (3, 4)]
    assert sorted(calls(tree)) == expected
    code, out, _ = launch(tree, "--rows", "c")
    assert code == 2
    assert "no row 'c'" in out
    code, out, _ = launch(tree, "--jobs", "0")
    assert code == 2


def test_a_stage_takes_what_it_needs_along(tree: Path) -> None:
    code, out, _ = launch(tree, "--stage", "pretrain", "--jobs", "1")
    assert code == 0, out
    assert sorted(calls(tree)) == ["runs/pretrain/a/seed0", "runs/pretrain/b/seed0"]
    assert "2 of 2 cells are done" in out
    _, out, _ = launch(tree, "--stage", "transfer", "--rows", "b", "--dry-run")
    assert "2 cells in runs" in out
    code, out, _ = launch(tree, "--stage", "wsol", "--rows", "b", "--jobs", "1")
    assert code == 0, out
    assert [call for call in calls(tree) if "wsol" in call] == ["runs/wsol/loc/one/b/seed0"]
    assert "Loc" in out  # the table that is printed has the stage's columns
    assert "One" not in out


def test_a_dry_run_lists_cells_and_missing_data_and_writes_nothing(tree: Path) -> None:
    config(tree, "transfer/one", "reads=('train', 'test')")
    before = sorted(tree.rglob("*"))
    code, out, _ = launch(tree, "--dry-run")
    assert code == 0, out
    assert [p for p in sorted(tree.rglob("*")) if p not in before and "__pycache__" not in p.parts] == []
    assert "transfer/one/a/seed0: missing, 21,603 images to process" in out  # 100 + 16,551 + 4,952, as published
    assert "needs pretrain/a/seed0" in out
    command = "python -m transfer configs/transfer/one.py --run runs/transfer/one/a/seed0"
    assert f"{command} --backbone runs/pretrain/a/seed0 --row a --seed 0" in out
    assert out.count("missing data: VOC (train, test), looked for in data") == 1
    assert out.count("Expected below the data root") == 1
    assert "images to process in the 6 cells that are not done: 43,606" in out
    code, out, _ = launch(tree)
    assert code == 1
    assert sorted(calls(tree)) == ["runs/pretrain/a/seed0", "runs/pretrain/b/seed0"]
    assert "failed: transfer/one/a/seed0: VOC, split 'train': " in out
    assert out.count("Expected below the data root") == 1


def test_a_killed_launcher_leaves_nothing_running_and_the_next_goes_on(tree: Path) -> None:
    config(tree, "pretrain/b", "do='0 if Path(\"go\").exists() else time.sleep(60)'")
    process = start(tree, "--jobs", "2")
    pid = _pid_of(tree, "runs/pretrain/b/seed0")
    process.kill()
    process.communicate()
    _wait_until(lambda: not _alive(pid))
    (tree / "go").touch()
    code, out, _ = launch(tree)
    assert code == 0, out
    assert calls(tree).count("runs/pretrain/a/seed0") <= 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_launch_ends_its_cells_and_says_how_to_go_on(tree: Path, number: signal.Signals) -> None:
    config(tree, "pretrain/a", "do='time.sleep(60)'")
    process = start(tree, "--jobs", "1")
    pid = _pid_of(tree, "runs/pretrain/a/seed0")
    code, said, _ = launch(tree)
    assert (code, "being launched already" in said) == (2, True)
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "the same command goes on from here" in out
    assert not _alive(pid)


def test_a_cached_plan_is_made_again_when_the_data_changes(tree: Path) -> None:
    config(tree, "pretrain/a", "data_root=__import__('pathlib').Path('world')")
    (tree / "world").mkdir()
    assert launch(tree)[0] == 0
    plan = tree / "runs/tables/fake.plan.json"
    written = plan.stat().st_mtime_ns
    (tree / "world/world.json").write_text(json.dumps({"seed": 2}))
    assert launch(tree)[0] == 0
    assert plan.stat().st_mtime_ns > written


def test_a_plan_that_a_result_contradicts_is_made_again(tree: Path) -> None:
    """An image rewritten in place changes the data's identity and no folder's time."""
    base = voc(tree / "data", {"trainval": ["000001"]})
    sets = "VOC(train=(('2007', 'trainval'),))"
    config(tree, "transfer/one", f"reads=('train',), data={sets}")
    assert launch(tree, "--rows", "a")[0] == 0
    shutil.rmtree(tree / "runs/transfer/one/a")
    with (base / "JPEGImages/000001.jpg").open("ab") as file:
        file.write(b"more")
    code, out, _ = launch(tree, "--rows", "a")
    assert code == 1
    assert "transfer/one/a/seed0: its result has another digest than the plan" in out
    assert "the plan is removed, the same command makes it anew" in out
    code, out, _ = launch(tree, "--rows", "a")
    assert code == 0, out
    assert calls(tree).count("runs/transfer/one/a/seed0") == 2


def _pid_of(tree: Path, run: str) -> int:
    _wait_until(lambda: run in calls(tree), 60)
    line = next(line for line in (tree / "calls.txt").read_text().splitlines() if line.startswith(run + " "))
    return int(line.split()[1])


def _alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and ") Z " not in stat.read_text()


def _wait_until(true: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
