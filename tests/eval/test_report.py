"""The table as a function of results: numbers, differences, statuses, and its output to the letter."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eval.__main__ import main
from eval.errors import EvalError
from eval.load import CONFIGS, load
from eval.references import ReferenceColumn, References
from eval.render import View, below, coloured
from eval.report import Status, collect
from eval.table import Column, Row, Table, column_cells

BASE = Row("Baseline", "pretrain/t_base", reference="Baseline")
CUTMIX = Row("CutMix", "pretrain/t_cutmix", reference="CutMix")
BARE = Row("Bare", backbone="timm:bare")
TOP1 = Column("ImageNet error", ("transfer/t_eval",), "top1_error", "top1_error")
SSD = Column("VOC SSD mAP", ("transfer/t_ssd",), "ap50", "voc_ssd")
TABLE = Table("t", (BASE, CUTMIX, BARE), (TOP1, SSD), seeds=(0, 1), baseline="Baseline", references="references/r")
PAPER = References(
    "Paper",
    {
        "top1_error": ReferenceColumn("table 3", {"Baseline": 23.68, "CutMix": 21.40}, decimals=2),
        "voc_ssd": ReferenceColumn("table 10", {"Baseline": 76.7, "CutMix": 77.6}, notes=("Table 1 differs.",)),
    },
)
TABLE_FILE = """
from eval.table import Column, Row, Table

config = Table(
    name="t",
    rows=(
        Row("Baseline", "pretrain/t_base", reference="Baseline"),
        Row("CutMix", "pretrain/t_cutmix", reference="CutMix"),
        Row("Bare", backbone="timm:bare"),
    ),
    columns=(
        Column("ImageNet error", ("transfer/t_eval",), "top1_error", "top1_error"),
        Column("VOC SSD mAP", ("transfer/t_ssd",), "ap50", "voc_ssd"),
    ),
    seeds=(0, 1),
    baseline="Baseline",
    references="references/r",
    notes=("Small.",),
)
"""
REFERENCES_FILE = f"from eval.references import ReferenceColumn, References\n\nconfig = {PAPER!r}\n"


def write(runs: Path, row: Row, column: Column, seed: int, value: float | None, **more: Any) -> Path:
    cell = column_cells(row, column, seed)[-1]
    result = {
        "schema": 1,
        "stage": cell.stage,
        "config": cell.config,
        "row": cell.row,
        "seed": seed,
        "digest": "0" * 16,
        "metrics": {column.metric: {"value": value, "unit": "%", "higher_is_better": column is SSD}},
        "more": more,
    }
    path = runs / cell.folder / "result.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(result))
    return path


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two rows done in one column, half done in the other; a backbone without a head; nothing else."""
    folder = tmp_path / "runs"
    for seed, (base, cutmix) in enumerate([(30.0, 27.0), (32.0, 31.0)]):
        write(folder, BASE, TOP1, seed, base)
        write(folder, CUTMIX, TOP1, seed, cutmix)
        write(folder, BARE, TOP1, seed, None, reason="no head")
    write(folder, BASE, SSD, 0, 50.0)
    write(folder, BASE, SSD, 1, 60.0)
    write(folder, CUTMIX, SSD, 1, 59.0)
    (tmp_path / "configs/tables").mkdir(parents=True)
    (tmp_path / "configs/tables/t.py").write_text(TABLE_FILE)
    (tmp_path / "configs/references").mkdir()
    (tmp_path / "configs/references/r.py").write_text(REFERENCES_FILE)
    return folder


def test_numbers(runs: Path) -> None:
    entries = collect(TABLE, runs, PAPER).entries
    base, cutmix = entries["Baseline", "ImageNet error"], entries["CutMix", "ImageNet error"]
    assert (base.mean, base.delta, base.seeds, base.status) == (31.0, None, 2, Status.OK)
    assert base.std == pytest.approx(2**0.5)
    assert (cutmix.mean, cutmix.delta, cutmix.better) == (29.0, -2.0, True)
    assert (base.paper, base.paper_delta) == (23.68, None)
    assert cutmix.paper == 21.40
    assert cutmix.paper_delta == pytest.approx(-2.28)


def test_difference_is_over_the_seeds_that_both_have(runs: Path) -> None:
    half = collect(TABLE, runs, PAPER).entries["CutMix", "VOC SSD mAP"]
    assert (half.mean, half.std, half.seeds, half.status) == (59.0, None, 1, Status.PARTIAL)
    assert (half.delta, half.better) == (-1.0, False)  # 59 - 60 of seed 1, not 59 - 55


def test_a_row_is_compared_with_its_own_baseline(runs: Path) -> None:
    light = Row("Light", "pretrain/t_light", reference="CutMix", baseline="Light")
    mixed = Row("Light CutMix", "pretrain/t_light_cutmix", reference="Baseline", baseline="Light")
    write(runs, light, TOP1, 0, 40.0)
    write(runs, mixed, TOP1, 0, 37.0)
    report = collect(Table("t", (BASE, CUTMIX, light, mixed), (TOP1,), (0, 1), "Baseline"), runs, PAPER)
    deltas = {name: entry.delta for (name, _), entry in report.entries.items()}
    assert deltas == {"Baseline": None, "CutMix": -2.0, "Light": None, "Light CutMix": -3.0}
    assert report.entries["Light CutMix", TOP1.name].paper_delta == pytest.approx(23.68 - 21.40)
    told = below(View(report, report.table.select(["CutMix", "Light CutMix"]).rows, (TOP1,), ("make",)))
    assert "In brackets: difference to the row's own baseline (Baseline, Light). ±:" in told


def test_absent_numbers(runs: Path) -> None:
    entries = collect(TABLE, runs, PAPER).entries
    bare, missing = entries["Bare", "ImageNet error"], entries["Bare", "VOC SSD mAP"]
    assert (bare.status, bare.reason, bare.mean, bare.paper) == (Status.NOT_APPLICABLE, "no head", None, None)
    assert (missing.status, missing.mean, missing.seeds) == (Status.MISSING, None, 0)


def test_broken_and_stale_results_do_not_hide_the_rest(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(runs, BARE, SSD, 0, 40.0)
    path.write_text('{"schema": 1, "st')
    (runs / "tables").mkdir()
    stale = {column_cells(CUTMIX, TOP1, 0)[-1].key: {"digest": "1" * 16}}
    (runs / "tables/t.plan.json").write_text(json.dumps({"cells": stale}))
    entries = collect(TABLE, runs, PAPER).entries
    assert entries["Bare", "VOC SSD mAP"].status is Status.BROKEN
    assert str(path) in entries["Bare", "VOC SSD mAP"].reason
    assert (entries["CutMix", "ImageNet error"].status, entries["CutMix", "ImageNet error"].mean) == ("stale", 29.0)
    assert entries["Baseline", "ImageNet error"].status is Status.OK
    assert main(["table", str(runs.parent / "configs/tables/t.py"), "--runs", str(runs)]) == 0
    out = capsys.readouterr().out
    assert f"broken: Bare, VOC SSD mAP: {path}: not JSON" in out
    assert "29.00 ± 2.83 (-2.00) stale" in out
    commands = [line.removesuffix(f" RUNS={runs}") for line in out.splitlines() if line.startswith("make ")]
    make = f"make transfer-all TABLE=t RUNS={runs}"
    assert commands == [f"{make} FORCE=1 ROWS=t_cutmix", f"{make} FORCE=1 ROWS=timm-bare COLUMNS=voc-ssd-map"]


def test_make_passes_force_on() -> None:
    """The commands below a table say FORCE=1; the other targets that run cells know it too."""
    for target in ("transfer-all", "pretrain", "wsol"):
        for words, forced in (((), False), (("FORCE=1",), True)):
            command = ["make", "--dry-run", "--no-print-directory", "-C", str(CONFIGS.parent), target, *words]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            (line,) = [line for line in said.splitlines() if "-m launch" in line]
            assert ("--force" in line.split()) == forced


def test_unknown_references(runs: Path) -> None:
    for table in (
        Table("t", (Row("A", "pretrain/a", reference="FMix"),), (TOP1,)),
        Table("t", (BASE,), (Column("x", ("transfer/x",), "m", "nabirds"),)),
    ):
        with pytest.raises(EvalError, match=r"there are (Baseline, CutMix|top1_error, voc_ssd)"):
            collect(table, runs, PAPER)


def test_units_have_to_agree(runs: Path) -> None:
    fraction = References("Paper", {"top1_error": ReferenceColumn("", {"Baseline": 0.2}, unit="fraction")})
    with pytest.raises(EvalError, match="results in '%', the references' in 'fraction'"):
        collect(Table("t", (BASE,), (TOP1,)), runs, fraction)


GOLDEN_TEXT = """\
          ImageNet error        VOC SSD mAP [1]
          %, lower is better    %, higher is better
-------------------------------------------------------------
Baseline  31.00 ± 1.41          55.00 ± 7.07
          paper 23.68           paper 76.7

CutMix    29.00 ± 2.83 (-2.00)  59.00 (-1.00) partial, 1 seed
          paper 21.40 (-2.28)   paper 77.6 (+0.9)

Bare      n/a: no head          missing

In brackets: difference to Baseline. ±: standard deviation over seeds.
paper: Paper, its difference to its own baseline in brackets.
Small.
[1] Table 1 differs.

To make what is missing:
make transfer-all TABLE=t RUNS=RUNS_HERE ROWS=t_cutmix,timm-bare COLUMNS=voc-ssd-map

Written: RUNS_HERE/tables/t.md, RUNS_HERE/tables/t.csv
"""
GOLDEN_MARKDOWN = """\
# t

|  | ImageNet error<br>%, lower is better | VOC SSD mAP [1]<br>%, higher is better |
| --- | --- | --- |
| Baseline | 31.00 ± 1.41<br>paper 23.68 | 55.00 ± 7.07<br>paper 76.7 |
| CutMix | 29.00 ± 2.83 (-2.00)<br>paper 21.40 (-2.28) | 59.00 (-1.00) partial, 1 seed<br>paper 77.6 (+0.9) |
| Bare | n/a: no head | missing |

In brackets: difference to Baseline. ±: standard deviation over seeds.__
paper: Paper, its difference to its own baseline in brackets.__
Small.__
[1] Table 1 differs.__

To make what is missing:

```sh
make transfer-all TABLE=t RUNS=RUNS_HERE ROWS=t_cutmix,timm-bare COLUMNS=voc-ssd-map
```

Where the numbers to compare with stand:

- ImageNet error: table 3
- VOC SSD mAP: table 10
""".replace("__", "  ")


def test_output_to_the_letter(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", str(runs.parent / "configs/tables/t.py"), "--runs", str(runs)]) == 0
    assert capsys.readouterr().out.replace(str(runs), "RUNS_HERE") == GOLDEN_TEXT
    assert (runs / "tables/t.md").read_text().replace(str(runs), "RUNS_HERE") == GOLDEN_MARKDOWN
    lines = list(csv.DictReader((runs / "tables/t.csv").read_text().splitlines()))
    assert len(lines) == 6
    assert lines[2] == {
        **{"row": "CutMix", "column": "ImageNet error", "metric": "top1_error", "unit": "%"},
        **{"higher_is_better": "false", "seeds": "2", "mean": "29.0", "std": lines[2]["std"], "delta": "-2.0"},
        **{"paper": "21.4", "paper_delta": lines[2]["paper_delta"], "status": "ok"},
    }
    assert (float(lines[2]["std"]), float(lines[2]["paper_delta"])) == pytest.approx((8**0.5, -2.28))
    assert sorted(path.name for path in (runs / "tables").iterdir()) == ["t.csv", "t.md"]


def test_a_part_is_printed_and_the_whole_is_written(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["table", str(runs.parent / "configs/tables/t.py"), "--runs", str(runs)]
    assert main([*words, "--rows", "cutmix", "--columns", "imagenet-error", "--seeds", "0"]) == 0
    out = capsys.readouterr().out
    assert "27.00 (-3.00)" in out  # the baseline is compared with, though not shown
    assert "SSD" not in out
    assert "[1]" not in out
    assert len((runs / "tables/t.csv").read_text().splitlines()) == 7


def test_command_names_the_data_of_the_last_launch(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "tables").mkdir()
    plan = {"cells": {"a": {"digest": None, "command": ["-m", "transfer", "x.py", "--data-root", "my data"]}}}
    (runs / "tables/t.plan.json").write_text(json.dumps(plan))
    assert main(["table", str(runs.parent / "configs/tables/t.py"), "--runs", str(runs), "--seeds", "0,1,2"]) == 0
    assert "make transfer-all TABLE=t 'DATA=my data' SEEDS=0,1,2 RUNS=" in capsys.readouterr().out


def test_terminal_form_has_the_same_words(runs: Path) -> None:
    from rich.console import Console

    console = Console(width=200)
    with console.capture() as caught:
        console.print(coloured(View(collect(TABLE, runs, PAPER), TABLE.rows, TABLE.columns, ("make",))))
    for words in ("VOC SSD mAP [1]", "29.00 ± 2.83 (-2.00)", "paper 21.40 (-2.28)", "n/a: no head", "missing"):
        assert words in caught.get()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = 1", "expected `config` to be a Table, it is NoneType"),
        ("import nowhere_to_be_found", "ModuleNotFoundError"),
        ("from eval.table import Row\nconfig = Row('a')", "EvalError: row 'a': give either"),
    ],
)
def test_wrong_table_files(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str) -> None:
    (tmp_path / "t.py").write_text(content)
    assert main(["table", str(tmp_path / "t.py"), "--runs", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert str(tmp_path / "t.py") in error


def test_unknown_names(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "nosuch", "--runs", str(tmp_path)]) == 2
    assert "no table 'nosuch'" in capsys.readouterr().err
    assert main(["table", str(tmp_path / "configs/tables/t.py"), "--runs", str(runs), "--rows", "FMix"]) == 2
    assert "no row 'fmix'; there are 'Baseline' (t_base)" in capsys.readouterr().err


def test_the_papers_numbers() -> None:
    paper = load(CONFIGS / "references/cutmix_paper.py", References)
    gains = {name: round(c.values["CutMix"] - c.values["Baseline"], 2) for name, c in paper.columns.items()}
    assert gains == {
        **{"top1_error": -2.28, "top5_error": -1.13, "imagenet_loc": 0.95, "cub_loc": 5.4},
        **{"voc_ssd": 0.9, "voc_frcnn": 1.1, "bleu1": 2.8, "bleu2": 2.5, "bleu3": 2.2, "bleu4": 2.0},
        **{"meteor": 0.3, "rouge_l": 4.3, "cider": 6.4},
        **{"imagenet_v2": -0.4, "cub_v2": -0.2},  # wsolevaluation's, which has no Mixup and no Cutout
    }
    papers = [column for name, column in paper.columns.items() if not name.endswith("_v2")]
    assert all(set(column.values) == {"Baseline", "Mixup", "Cutout", "CutMix"} for column in papers)


WITHOUT_TORCH = """
import importlib, pkgutil, sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in HEAVY:
            raise ImportError(name + " is not to be imported")

HEAVY = {"torch", "torchvision", "core", "cv2", "pycocotools", "pycocoevalcap", "rich"}
sys.meta_path.insert(0, Block())
for module in pkgutil.iter_modules(["eval"]):
    importlib.import_module("eval." + module.name)
"""


def test_no_module_imports_torch_core_or_anything_heavy() -> None:
    root = CONFIGS.parent
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
