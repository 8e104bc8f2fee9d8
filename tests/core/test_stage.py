"""What every stage's command shares: names of rows and folders, refusals, provenance."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core import memory
from core.command import Command
from core.data.records import Need
from core.stage import Job, Outcome, Stage
from eval.table import Column, Row, column_cells

CONFIG = "from tests.core.test_stage import Named\nconfig = Named(device='cpu')\n"


@dataclass(frozen=True, kw_only=True)
class Named(Stage):
    """A stage without work."""

    alpha: float = 1.0

    def needs(self) -> tuple[Need, ...]:
        return ()

    def images(self, count: Callable[[Need], int]) -> int:
        return 0


def execute(config: Named, job: Job) -> Outcome:
    job.run.progress(done=1, total=1)
    return Outcome({})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Configs of two transfers and a localization in the current folder; WORLD_SIZE unset."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    for name in ("pretrain/cutmix", "transfer/one", "transfer/two", "wsol/cam"):
        path = tmp_path / "configs" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CONFIG)
    return tmp_path


def run(name: str, *words: str) -> int:
    return Command(name.split("/")[0], Named, execute).main([f"configs/{name}.py", *words])


def result(folder: str) -> dict[str, Any]:
    value = json.loads(Path(folder, "result.json").read_text())
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(
    ("words", "folder", "row"),
    [
        ([], "runs/pretrain/cutmix/seed0", "cutmix"),
        (["--alpha", "0.5", "--run", "runs/pretrain/half/seed0"], "runs/pretrain/half/seed0", "half"),
        (["--alpha", "0.5", "--run", "elsewhere/half one"], "elsewhere/half one", "half-one"),
        (["--row", "mine", "--run", "runs/pretrain/half/seed0"], "runs/pretrain/half/seed0", "mine"),
        (["--run", "runs/pretrain/cutmix/seed3", "--seed", "3"], "runs/pretrain/cutmix/seed3", "cutmix"),
    ],
)
def test_a_backbone_is_the_row_of_its_folder(here: Path, words: list[str], folder: str, row: str) -> None:
    assert run("pretrain/cutmix", *words) == 0
    assert result(folder)["row"] == row


def test_folders_of_a_chain_are_the_tables(here: Path) -> None:
    column = Column("c", ("transfer/one", "transfer/two", "wsol/cam"), "m")
    for row, before in ((Row("r", pretrain="pretrain/cutmix"), None), (Row("t", backbone="timm:resnet10t.a"), 0)):
        source = [] if before is None else ["--backbone", str(row.backbone)]
        for cell in column_cells(row, column, 0):
            assert run(cell.config, *source) == 0
            assert result(f"runs/{cell.folder}")["row"] == row.key
            source = ["--backbone", f"runs/{cell.folder}"]


def test_torchruns_other_processes_are_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run("pretrain/cutmix") == 2
    assert "WORLD_SIZE=2: expected one process a cell" in capsys.readouterr().err
    assert not Path("runs").exists()
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert run("pretrain/cutmix") == 0


@pytest.mark.parametrize("field", ["workers", "checkpoint-every", "log-every"])
def test_a_number_below_0_is_refused(here: Path, capsys: pytest.CaptureFixture[str], field: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("pretrain/cutmix", f"--{field}", "-3")
    assert stopped.value.code == 2
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert f"{field.replace('-', '_')}: expected 0 or more, got -3" in said
    assert not Path("runs").exists()


@pytest.mark.parametrize("option", ["--runs", "--run"])
@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("notes.txt", "notes.txt is a file"),
        ("notes.txt/below/it", "notes.txt is a file"),
        ("/proc/nope/run", "no folder can be made in /proc"),
    ],
)
def test_a_place_where_no_folder_can_be_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], option: str, place: str, message: str
) -> None:
    (here / "notes.txt").write_text("mine")
    assert run("pretrain/cutmix", option, place) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {place}")
    assert message in said
    assert (here / "notes.txt").read_text() == "mine"


def test_a_backbone_is_offered_where_one_is_taken(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for takes in (True, False):
        command = Command("pretrain", Named, execute, takes_backbone=takes)
        assert command.main(["--help"]) == 0
        assert ("--backbone" in capsys.readouterr().out) is takes
        assert command.main(["configs/pretrain/cutmix.py", "--backbone", "timm:resnet10t"]) == (0 if takes else 2)
        assert ("takes no --backbone" in capsys.readouterr().err) is not takes
    assert not Path("runs/pretrain/cutmix/seed0").exists()


def test_a_lone_dash_that_torchrun_passes_on_is_no_config(here: Path) -> None:
    assert Command("pretrain", Named, execute).main(["--", "configs/pretrain/cutmix.py", "--alpha", "0.5"]) == 0


def test_an_unknown_device_lists_the_devices(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("pretrain/cutmix", "--device", "gpu")
    said = capsys.readouterr()
    assert stopped.value.code == 2
    assert all(device in said.err + said.out for device in ("auto", "cpu", "cuda", "mps"))


def test_a_results_seconds_are_those_of_all_processes(here: Path) -> None:
    """The first process is killed after 100 seconds of work, as its progress says."""

    def killed(config: Named, job: Job) -> Outcome:
        job.run.started -= 100
        job.run.progress(done=0, total=1)
        raise KeyboardInterrupt

    assert Command("pretrain", Named, killed).main(["configs/pretrain/cutmix.py"]) == 130
    assert run("pretrain/cutmix") == 0
    assert 100 <= result("runs/pretrain/cutmix/seed0")["seconds"] < 130


def test_a_cell_on_the_cpu_keeps_freed_memory(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []
    monkeypatch.setattr(memory, "keep_freed", lambda: told.append(True))
    assert run("pretrain/cutmix") == 0
    assert told == [True]


@pytest.mark.parametrize("asked", [True, False])
def test_tensorboard_gets_what_is_logged(here: Path, asked: bool) -> None:
    def logging(config: Named, job: Job) -> Outcome:
        job.run.log(step=1, loss=2.0)
        return Outcome({})

    words = ["--tensorboard"] if asked else []
    assert Command("pretrain", Named, logging).main(["configs/pretrain/cutmix.py", *words]) == 0
    assert bool(list(Path("runs/pretrain/cutmix/seed0").rglob("events.out.tfevents.*"))) is asked
