"""Curves: means and bands over the epochs that all seeds have, from metrics.jsonl as the loop writes it."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from eval.__main__ import main
from eval.curves import Curve, draw, read_rows
from eval.errors import EvalError


def run(folder: Path, errors: list[float | None], train: float | None = 50.0) -> Path:
    """A run whose log has steps' lines and one for each epoch; None: not validated."""
    folder.mkdir(parents=True)
    lines: list[dict[str, Any]] = [{"step": 0, "lr": 0.1, "loss": 3.0}]
    for epoch, error in enumerate(errors, start=1):
        entry: dict[str, Any] = {"step": 10 * epoch, "epoch": epoch}
        entry |= {"train_top1_error": train + epoch, "train_loss": 2.0} if train is not None else {}
        entry |= {"top1_error": error, "top5_error": error / 2} if error is not None else {}
        lines.append(entry)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_seeds_of_a_row_become_mean_and_band(tmp_path: Path) -> None:
    run(tmp_path / "cutmix" / "seed0", [40, None, 30, 20])
    run(tmp_path / "cutmix" / "seed10", [44, 40, 36])
    run(tmp_path / "cutmix" / "seed2", [42, 41, 33])
    run(tmp_path / "baseline" / "seed0", [50, 45], train=None)
    cutmix, baseline = read_rows([tmp_path / "cutmix", tmp_path / "baseline" / "seed0"])
    assert (cutmix.name, cutmix.runs, baseline.name, baseline.runs) == ("cutmix", 3, "baseline", 1)
    assert cutmix.val == Curve((1, 3), (42, 33), (40, 30), (44, 36)), "epochs that all three have"
    assert cutmix.train == Curve((1, 2, 3), (51, 52, 53), (51, 52, 53), (51, 52, 53))
    assert baseline.val == Curve((1, 2), (50, 45), (50, 45), (50, 45))
    assert baseline.train is None
    assert cutmix.text() == "cutmix: 33.00 % at epoch 3, lowest 33.00 % at 3 (3 seeds)"
    (top5, _) = read_rows([tmp_path / "cutmix", tmp_path / "baseline"], "top5_error")
    assert top5.val is not None
    assert (top5.val.mean, top5.train) == ((21, 16.5), None)


def test_a_run_that_was_not_validated_yet_is_drawn_and_said(tmp_path: Path) -> None:
    run(tmp_path / "new" / "seed0", [None, None])
    (row,) = read_rows([tmp_path / "new"])
    assert (row.val, row.train) == (None, Curve((1, 2), (51, 52), (51, 52), (51, 52)))
    assert row.text() == "new: not validated yet (1 seed)"
    draw([row], tmp_path / "c.svg")


def test_rows_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for place in ("a", "b"):
        run(tmp_path / place / "cutmix" / "seed0", [40])
    run(tmp_path / "alone", [40])
    rows = read_rows([tmp_path / "a" / "cutmix", tmp_path / "b" / "cutmix", tmp_path / "alone"])
    assert [row.name for row in rows] == [str(tmp_path / "a" / "cutmix"), str(tmp_path / "b" / "cutmix"), "alone"]


def test_the_figure_shows_each_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.axes import Axes

    run(tmp_path / "one" / "seed0", [40, 30])
    run(tmp_path / "one" / "seed1", [42, 34])
    run(tmp_path / "two" / "seed0", [50, 45])
    drawn: list[tuple[Any, ...]] = []
    bands: list[tuple[Any, ...]] = []

    def watched(name: str, seen: list[tuple[Any, ...]]) -> None:
        real = getattr(Axes, name)

        def wrapper(self: Axes, *values: Any, **options: Any) -> Any:
            seen.append(values)
            return real(self, *values, **options)

        monkeypatch.setattr(Axes, name, wrapper)

    watched("plot", drawn)
    watched("fill_between", bands)
    draw(read_rows([tmp_path / "one", tmp_path / "two"]), tmp_path / "out" / "c.png")
    assert drawn == [
        ((1, 2), (41, 32), "-"),
        ((1, 2), (51, 52), "--"),
        ((1, 2), (50, 45), "-"),
        ((1, 2), (51, 52), "--"),
    ]
    assert bands == [((1, 2), (40, 30), (42, 34))], "one seed has no band"
    with Image.open(tmp_path / "out" / "c.png") as image:
        assert image.size == (1200, 750)
        assert len(image.convert("RGB").getcolors(1 << 21) or ()) > 10
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["c.png"]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(tmp_path / "one" / "seed0", [40, 30, 35])
    out = tmp_path / "c.svg"
    assert main(["curves", str(folder), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert said == f"one: 35.00 % at epoch 3, lowest 30.00 % at 2 (1 seed)\n\nWritten: {out}\n"
    assert "<svg" in out.read_text()
    assert main(["curves", str(tmp_path), "--out", str(out)]) == 2
    assert f"{tmp_path}: expected a run" in capsys.readouterr().err
    assert main(["curves", str(folder), "--out", str(tmp_path / "c.xyz")]) == 2
    assert "c.xyz: cannot be written" in capsys.readouterr().err
    assert main(["curves", str(folder), "--out", str(out / "below a file" / "c.svg")]) == 2
    assert "c.svg: cannot be written" in capsys.readouterr().err
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "numbers of epochs are: none yet"),
        ('{"step": 1, "loss": 2}\n', "numbers of epochs are: none yet"),
        ('{"epoch": 1, "train_top1_error": 3, "top1_err', "numbers of epochs are: none yet"),
        ('{"epoch": 1, "train_loss": 3}\n', "expected top1_error at an epoch .* are: train_loss$"),
        ('{"epoch": 1, "top1_error": "x"}\n', "expected top1_error"),
        ('{"epoch": 1.5, "top1_error": 1}\n', ":1: epoch is 1.5, expected a whole number"),
        ('{}\n{"epoch": 1\n{}\n', ":2: not JSON"),
        ("[]\n", ":1: expected an object"),
    ],
)
def test_logs_that_cannot_be_drawn(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "metrics.jsonl").write_text(content)
    with pytest.raises(EvalError, match=reason) as caught:
        read_rows([tmp_path])
    assert str(caught.value).startswith(str(tmp_path / "metrics.jsonl"))


def test_a_run_that_is_named_twice(tmp_path: Path) -> None:
    folder = run(tmp_path / "one" / "seed0", [40])
    with pytest.raises(EvalError, match="named twice"):
        read_rows([folder, tmp_path / "one"])
