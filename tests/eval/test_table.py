"""Tables expand to cells once each, in an order that can be run, and refuse what makes no sense."""

from dataclasses import replace

import pytest

from eval.errors import EvalError
from eval.table import Column, Row, Table, cells, column_cells

BASE = Row("Baseline", "pretrain/quick_baseline")
CUTMIX = Row("CutMix", "pretrain/quick_cutmix", reference="CutMix")
EXTERNAL = Row("A1", backbone="timm:resnet50.a1_in1k")
TOP1 = Column("ImageNet error", ("transfer/quick_eval",), "top1_error")
TOP5 = Column("ImageNet top-5", ("transfer/quick_eval",), "top5_error")
CUB = Column("CUB200 Loc", ("transfer/quick_cub", "wsol/quick_cub_cam"), "top1_loc", "cub_loc")


def table(**changes: object) -> Table:
    fields: dict[str, object] = {
        "name": "t",
        "rows": (BASE, CUTMIX, EXTERNAL),
        "columns": (TOP1, TOP5, CUB),
        "baseline": "Baseline",
    }
    return Table(**(fields | changes))  # type: ignore[arg-type]  # wrong ones are what is tested


def test_cells_are_unique_and_ordered() -> None:
    found = cells(table(seeds=(0, 1)))
    keys = [cell.key for cell in found]
    assert len(keys) == len(set(keys)) == 2 * (4 + 4 + 3)
    for place, cell in enumerate(found):
        assert all(need in keys[:place] for need in cell.needs)


def test_chain_of_an_own_row() -> None:
    pretrain, tune, localize = column_cells(CUTMIX, CUB, 3)
    assert (pretrain.folder, pretrain.needs, pretrain.backbone) == ("pretrain/quick_cutmix/seed3", (), None)
    assert (tune.folder, tune.needs) == ("transfer/quick_cub/quick_cutmix/seed3", (pretrain.key,))
    assert (localize.folder, localize.needs) == ("wsol/quick_cub_cam/quick_cub/quick_cutmix/seed3", (tune.key,))
    assert (localize.stage, localize.config, localize.row) == ("wsol", "wsol/quick_cub_cam", "quick_cutmix")
    assert " ".join(localize.command()) == (
        "-m wsol run configs/wsol/quick_cub_cam.py --run runs/wsol/quick_cub_cam/quick_cub/quick_cutmix/seed3"
        " --backbone runs/transfer/quick_cub/quick_cutmix/seed3 --row quick_cutmix --seed 3"
    )


def test_chain_of_an_external_row() -> None:
    tune, localize = column_cells(EXTERNAL, CUB, 0)
    assert (tune.folder, tune.needs) == ("transfer/quick_cub/timm-resnet50.a1_in1k/seed0", ())
    assert (tune.backbone, localize.backbone) == ("timm:resnet50.a1_in1k", None)
    assert localize.needs == (tune.key,)


def test_select_by_name_or_key() -> None:
    part = table().select(rows=["cutmix", "QUICK_baseline"], columns=["cub200-loc"], seeds=[2, 1])
    assert [row.name for row in part.rows] == ["Baseline", "CutMix"]
    assert (part.columns, part.seeds, part.baseline) == ((CUB,), (2, 1), "Baseline")
    assert table().select(rows=["CutMix"]).baseline is None
    assert table().select() == table()


def test_a_row_may_have_a_baseline_of_its_own() -> None:
    light = Row("Light", "pretrain/light_baseline", baseline="Light")
    mixed = Row("Light CutMix", "pretrain/light_cutmix", baseline="Light")
    whole = table(rows=(BASE, CUTMIX, light, mixed))
    compared = [whole.baseline_of(row) for row in whole.rows]
    assert [base and base.name for base in compared] == [None, "Baseline", None, "Light"]
    part = whole.select(rows=["Baseline", "Light CutMix"])
    assert part.baseline_of(part.rows[1]) is None, "its baseline is not chosen; another network's is none of it"


def test_a_name_with_a_comma_survives_a_list_with_commas() -> None:
    columns = (Column("CUB Loc (top-1, .15)", CUB.steps, "top1_loc"), *table().columns)
    words = ["cub loc (top-1", " .15)", "CUB200 Loc"]
    part = replace(table(), columns=columns).select(columns=words)
    assert [column.name for column in part.columns] == ["CUB Loc (top-1, .15)", "CUB200 Loc"]
    with pytest.raises(EvalError, match=r"no column '\.2\)', 'cub loc \(top-1'; there are"):
        replace(table(), columns=columns).select(columns=["CUB Loc (top-1", ".2)"])


def test_select_lists_what_there_is() -> None:
    with pytest.raises(EvalError, match=r"no row 'fmix'; there are .*'CutMix' \(quick_cutmix\)"):
        table().select(rows=["FMix"])
    with pytest.raises(EvalError, match=r"no column 'nabirds'; there are .*'CUB200 Loc' \(cub200-loc\)"):
        table().select(columns=["NABirds"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": (BASE, BASE)}, "two rows with the name 'baseline'"),
        ({"rows": (BASE, Row("Other", "pretrain/quick_baseline"))}, "two rows with the key 'quick_baseline'"),
        ({"columns": (TOP1, TOP1)}, "two columns"),
        ({"columns": ()}, "no columns"),
        ({"baseline": "baselin"}, "no row 'baselin' for baseline; there are 'Baseline'"),
        ({"rows": (BASE, Row("Light", "pretrain/light", baseline="Ligth"))}, "no row 'Ligth' for baseline"),
        ({"seeds": ()}, "at least one"),
        ({"seeds": (0, 0)}, "twice the seed 0"),
        ({"seeds": (-1,)}, "negative"),
        ({"name": "a/b"}, "table name"),
    ],
)
def test_wrong_tables(changes: dict[str, object], message: str) -> None:
    with pytest.raises(EvalError, match=message):
        table(**changes)


def test_wrong_rows_and_columns() -> None:
    for fields in ({}, {"pretrain": "pretrain/x", "backbone": "timm:x"}):
        with pytest.raises(EvalError, match="either pretrain= or backbone="):
            Row("x", **fields)
    for path in ("quick_cub", "transfer/quick_cub.py", "../transfer/x", "transfer/a/b"):
        with pytest.raises(EvalError, match="expected a path like 'transfer/quick_cub'"):
            Column("x", (path,), "m")
    with pytest.raises(EvalError, match="expected a path like 'pretrain/quick_cub'"):
        Row("x", "transfer/quick_cub")
    with pytest.raises(EvalError, match="no steps"):
        Column("x", (), "m")
