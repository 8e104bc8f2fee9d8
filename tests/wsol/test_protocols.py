"""The two protocols' configs agree with themselves and their sources, and no table shows Loc without its footnote."""

from pathlib import Path

import pytest

from core.config import CONFIGS, differences, load, plain
from eval.load import find_references
from eval.load import load as open_file
from eval.references import References
from eval.render import View, markdown
from eval.report import collect
from eval.table import Column, Table
from transfer.stage import Transfer
from transfer.tasks.classification import FineTune
from wsol.stage import Localize

TABLES = sorted((CONFIGS / "tables").glob("[!_]*.py"))
METRICS = {"top1_loc", "maxboxacc_v2"}
PUBLISHED = {"has": (-0.3, 1.7), "adl": (0.0, -4.6), "cutmix": (-0.4, -0.2)}  # README's table: ImageNet, CUB; ResNet-50


def _localizing(table: Table) -> list[Column]:
    return [column for column in table.columns if column.steps[-1].startswith("wsol/")]


LOCALIZING = [path for path in TABLES if _localizing(open_file(path, Table))]


def _references(path: Path, table: Table) -> References:
    assert table.references is not None
    return open_file(find_references(table.references, path), References)


def test_the_tables_of_localization_are_found() -> None:
    known = {"quick", "real_mini", "paper", "quick_wsol", "mini_wsol", "wsol", "wsol_imagenet"}
    assert known <= {path.stem for path in LOCALIZING}


@pytest.mark.parametrize("path", LOCALIZING, ids=lambda path: path.stem)
def test_what_is_localized_is_what_was_fine_tuned(path: Path) -> None:
    for column in _localizing(open_file(path, Table)):
        localize = load(column.steps[-1])
        assert isinstance(localize, Localize)
        if len(column.steps) == 1:
            continue
        transfer = load(column.steps[0])
        assert isinstance(transfer, Transfer)
        task = transfer.task
        assert isinstance(task, FineTune)
        trained, tested = (task.data, task.layer4_stride1), (localize.data, localize.layer4_stride1)
        assert (*trained, task.test_split) == (*tested, localize.split), column
        seen = (localize.geometry.resize, localize.geometry.crop)
        assert (task.test_resize or task.resize, task.crop) == seen, f"{column.name}: tested on other pixels"


@pytest.mark.parametrize("path", LOCALIZING, ids=lambda path: path.stem)
def test_every_column_of_localization_says_that_the_gain_is_absent_under_v2(path: Path, tmp_path: Path) -> None:
    table = open_file(path, Table)
    report = collect(table, tmp_path, _references(path, table))
    columns = _localizing(table)
    assert {column.metric for column in columns} == METRICS, "both protocols' metrics"
    for column in columns:
        one = markdown(View(report, table.rows, (column,), ("make",)))
        assert "the paper's gain is absent: CutMix minus CAM on ResNet-50 is -0.4 on ImageNet and -0.2 on CUB" in one
        assert "wsolevaluation, commit 96f4b88" in one


@pytest.mark.parametrize("name", ["quick", "real_mini", "paper"])
def test_v2_costs_no_cell_of_its_own(name: str) -> None:
    columns = _localizing(open_file(CONFIGS / f"tables/{name}.py", Table))
    by_metric = {metric: [column.steps for column in columns if column.metric == metric] for metric in METRICS}
    assert by_metric["top1_loc"] == by_metric["maxboxacc_v2"]
    assert [column.name for column in columns if "CUB" in column.name] == ["CUB Loc (top-1, .15)", "CUB MaxBoxAccV2"]


def test_published_numbers_are_cams_and_the_printed_differences() -> None:
    wsol = open_file(CONFIGS / "references/wsol.py", References)
    paper = open_file(CONFIGS / "references/cutmix_paper.py", References)
    for place, data in enumerate(("imagenet", "cub")):
        cam = (63.7, 63.0)[place]
        assert wsol.column(f"{data}_cam_v2").values == {"Baseline": cam}
        for method, published in PUBLISHED.items():
            value = wsol.column(f"{data}_{method}_v2").values["Baseline"]
            assert value - cam == pytest.approx(published[place])
        mixed = paper.column(f"{data}_v2").values
        assert mixed["CutMix"] - mixed["Baseline"] == pytest.approx(PUBLISHED["cutmix"][place])


@pytest.mark.parametrize(("name", "images", "period"), [("cub", 5_994, 15), ("imagenet", 1_281_167, 3)])
def test_the_rate_falls_when_wsolevaluations_does(name: str, images: int, period: int) -> None:
    """Its loop counts epochs from 1 and divides by 10 at each that `period` divides."""
    recipe = load(f"transfer/{name}_wsolevaluation").recipe
    per_epoch = -(-images // 32)
    rate = recipe.optimizer.lr
    for epoch in range(1, int(recipe.epochs) + 1):
        if epoch % period == 0:
            rate *= 0.1
        for step in ((epoch - 1) * per_epoch, epoch * per_epoch - 1):
            assert recipe.lr(step, images) == pytest.approx(rate), f"epoch {epoch}"


@pytest.mark.parametrize("base", ["quick_cub", "mini_cub", "cub", "cub_wsolevaluation", "imagenet_wsolevaluation"])
def test_a_methods_config_changes_the_method_alone(base: str) -> None:
    start = plain(load(f"transfer/{base}"))
    for method, field in (("has", "mixing"), ("cutmix", "mixing"), ("adl", "regularizer")):
        changed = differences(start, plain(load(f"transfer/{base}_{method}")))
        assert [line.split(":")[0] for line in changed] == [f"task.{field}"], changed
