"""What the evaluator says of its input before and beside the numbers; windows; one order for every source."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.errors import EvalError
from eval.localization import Settings, Truth, evaluate
from tests.wsol.test_evaluate import IMAGES, SIDE, Case
from wsol.__main__ import main
from wsol.evaluate.inputs import geometry_of


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_every_source_gives_the_same_intervals(case: Case) -> None:
    maps, names = np.load(case.folder / "maps.npy"), (case.folder / "ids.txt").read_text().split()
    assert main(case.command("--resamples", "200")) == 0
    order = np.random.default_rng(1).permutation(IMAGES)
    np.save(case.folder / "maps.npy", maps[order])
    (case.folder / "ids.txt").write_text("".join(f"{names[i]}\n" for i in order))
    assert main(case.command("--resamples", "200", out="shuffled")) == 0
    assert case.result()["geometries"] == case.result("shuffled")["geometries"]


def test_a_window_says_what_a_map_covers(case: Case) -> None:
    """The maps as those of a centre crop: of 36 of 48 pixels, the boxes are moved along."""
    lines = (case.folder / "metadata/localization.txt").read_text().split()
    moved = []
    for line in lines:
        name, *corners = line.split(",")
        x0, y0, x1, y1 = (int(corner) for corner in corners)
        scaled = [6 + round(value * 36 / 48) for value in (x0, y0, x1 + 1, y1 + 1)]
        moved.append(f"{name},{scaled[0]},{scaled[1]},{scaled[2] - 1},{scaled[3] - 1}\n")
    (case.folder / "metadata/localization.txt").write_text("".join(moved))
    assert main(case.command("--window", "squash:32:24")) == 0
    assert main(case.command(out="whole")) == 0
    windowed, whole = (case.result(out)["geometries"]["corrected"]["measures"] for out in ("out", "whole"))
    assert windowed["max_box_acc_70"]["fixed"]["value"] == 80.0
    assert whole["max_box_acc_70"]["fixed"]["value"] < 20


@pytest.mark.parametrize(
    ("window", "size", "expected"),
    [
        ("squash:256:224", (512, 256), (32, 16, 480, 240)),
        ("short:256:224", (512, 256), (144, 16, 368, 240)),
        ("pad:224", (448, 224), (0, -112, 448, 336)),
    ],
)
def test_windows_in_pixels_of_the_image(window: str, size: tuple[int, int], expected: tuple[float, ...]) -> None:
    geometry = geometry_of(window)
    assert geometry is not None
    assert geometry.window(size) == expected


@pytest.mark.parametrize("window", ["", "square", "squash:256", "pad:a", "squash:100:224", "whole:1"])
def test_windows_that_are_none(window: str) -> None:
    with pytest.raises(EvalError, match="--window"):
        geometry_of(window)


def test_classes_counted_from_one_are_noted(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    names = (case.folder / "ids.txt").read_text().split()
    predicted = case.folder / "classes.csv"
    predicted.write_text("".join(f"{name},{1 + i % 3}\n" for i, name in enumerate(names)))
    assert main(case.command("--predictions", str(predicted))) == 0
    assert "counted from 1?" in capsys.readouterr().out
    assert len(case.result()["notes"]) == 1


def test_predictions_need_labels(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    (case.folder / "metadata/class_labels.txt").unlink()
    assert main(case.command("--predictions", str(case.folder / "classes.csv"))) == 2
    assert "class_labels.txt, which is not there" in capsys.readouterr().err


def test_a_threshold_chosen_on_what_it_is_measured_on_is_noted(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    folder = case.folder
    select = ["--select-on", folder / "maps.npy", "--select-ids", folder / "ids.txt"]
    assert main(case.command(*map(str, (*select, "--select-metadata", folder / "metadata")))) == 0
    assert "300 of 300 ids are in the split that chooses" in capsys.readouterr().out


def test_images_must_be_there(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(case.command("--images", str(case.folder / "metadata"))) == 2
    assert "none of the first 100 images is below it" in capsys.readouterr().err


def test_compat_numbers_of_other_sizes_are_noted(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(case.command("--geometry", "both")) == 0
    assert f"{IMAGES} of {IMAGES} maps are not of 224 x 224 pixels" in capsys.readouterr().out
    assert SIDE != 224


def test_a_dictionary_of_maps_will_do() -> None:
    truths = [Truth("a", (3, 3), np.array([[0.0, 0, 3, 1]])), Truth("b", (3, 3), np.array([[0.0, 0, 1, 3]]))]
    maps: dict[str, Any] = {"a": np.eye(3), "b": np.ones((3, 3))}
    assert evaluate(maps, truths, Settings(), resamples=0).images == 2


def test_metadata_is_not_written_over(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    before = (case.folder / "metadata/image_ids.txt").read_text()
    assert main(["import-metadata", "cub", str(case.folder), str(case.folder / "metadata")]) == 2
    assert "holds metadata (image_ids.txt, class_labels.txt" in capsys.readouterr().err
    assert (case.folder / "metadata/image_ids.txt").read_text() == before
