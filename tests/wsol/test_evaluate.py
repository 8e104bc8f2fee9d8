"""The evaluator's command line, whole: numbers, files, kills, bad input; and the example of docs/wsol.md."""

import csv
import json
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eval.localization import Part, examine
from wsol.__main__ import main
from wsol.evaluate import work
from wsol.maps.shards import ShardWriter

ROOT = Path(__file__).resolve().parents[2]
SIDE, IMAGES, WRONG = 24, 300, 60
STRUCK = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs the tests in the background ignores it
from wsol.evaluate.work import Work
do = Work.do
def strike(self, task):
    if task.index == int(sys.argv[1]):
        os.kill(os.getpid(), int(sys.argv[2]))
    return do(self, task)
Work.do = strike
from wsol.__main__ import main
sys.exit(main(sys.argv[3:]))
"""


@dataclass
class Case:
    """Bright rectangles, `WRONG` of `IMAGES` annotated elsewhere; image i's class is i % 3, predicted as 0, 1."""

    folder: Path

    def __post_init__(self) -> None:
        rng = np.random.default_rng(3)
        ids = [f"im/{i:03d}.jpg" for i in range(IMAGES)]
        metadata = self.folder / "metadata"
        metadata.mkdir(parents=True)
        maps = np.zeros((IMAGES, SIDE, SIDE), np.uint8)
        lines = []
        for i, name in enumerate(ids):
            x, y = rng.integers(0, 6, 2)
            maps[i, y : y + 10, x : x + 9] = 255
            far = 10 if i % (IMAGES // WRONG) == 0 else 0  # no overlap by which IoU could be over .5
            x0, y0 = 2 * (x + far), 2 * (y + far)  # the image is twice as large as its map
            lines.append(f"{name},{x0},{y0},{min(x0 + 17, 47)},{min(y0 + 19, 47)}\n")
        np.save(self.folder / "maps.npy", maps)
        (self.folder / "ids.txt").write_text("".join(f"{name}\n" for name in ids))
        (metadata / "image_ids.txt").write_text("".join(f"{name}\n" for name in ids))
        (metadata / "class_labels.txt").write_text("".join(f"{name},{i % 3}\n" for i, name in enumerate(ids)))
        (metadata / "image_sizes.txt").write_text("".join(f"{name},{2 * SIDE},{2 * SIDE}\n" for name in ids))
        (metadata / "localization.txt").write_text("".join(lines))
        (self.folder / "classes.csv").write_text("".join(f"{name},0,1\n" for name in ids))

    def command(self, *more: str, out: str = "out") -> list[str]:
        folder = self.folder
        words = ["evaluate", folder / "maps.npy", "--ids", folder / "ids.txt", "--metadata", folder / "metadata"]
        quick = ["--resamples", "20", "--no-figures"]
        return [str(word) for word in (*words, "--out", folder / out, *quick, *more)]

    def result(self, out: str = "out") -> dict[str, Any]:
        """result.json but for times."""
        found: dict[str, Any] = json.loads((self.folder / out / "result.json").read_text())
        assert found.pop("seconds") > 0
        return found


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # importing it raises
from wsol.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
RIGHT = 100 * (IMAGES - WRONG) / IMAGES


def test_numbers_and_files(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(case.command("--predictions", str(case.folder / "classes.csv"))) == 0
    measures = case.result()["geometries"]["corrected"]["measures"]
    assert measures["gt_known_loc"]["fixed"]["value"] == RIGHT
    assert measures["max_box_acc_70"]["best"]["value"] == RIGHT
    right_class = sum(i % 3 == 0 and i % (IMAGES // WRONG) != 0 for i in range(IMAGES))
    assert measures["top1_loc"]["fixed"]["value"] == pytest.approx(100 * right_class / IMAGES)
    assert f"{RIGHT:.2f}" in capsys.readouterr().out
    with (case.folder / "out/per_image.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == (case.folder / "ids.txt").read_text().split()
    assert sorted(path.name for path in (case.folder / "out").iterdir()) == [
        *("config.json", "per_image.csv", "result.json")
    ]


def test_a_second_call_prints_the_result_again(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(case.command()) == 0
    first, written = capsys.readouterr().out, (case.folder / "out/result.json").stat().st_mtime_ns
    assert main(case.command()) == 0
    again = capsys.readouterr()
    assert again.out == first
    assert "is there already" in again.err
    assert (case.folder / "out/result.json").stat().st_mtime_ns == written


def test_processes_change_nothing(case: Case) -> None:
    assert main(case.command("--geometry", "both", out="one")) == 0
    assert main(case.command("--geometry", "both", "--jobs", "2", out="two")) == 0
    assert case.result("one") == case.result("two")
    assert (case.folder / "one/per_image.csv").read_text() == (case.folder / "two/per_image.csv").read_text()


@pytest.mark.parametrize(
    ("part", "number", "code", "resume"),
    [(1, signal.SIGKILL, -signal.SIGKILL, []), (0, signal.SIGINT, 130, ["--resume"])],  # Ctrl-C lets a part end
)
def test_a_killed_evaluation_goes_on(
    case: Case, part: int, number: int, code: int, resume: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [sys.executable, "-c", STRUCK, f"{part}", f"{int(number)}", *case.command()]
    done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True)
    assert done.returncode == code, done.stderr.decode()
    assert [path.name for path in (case.folder / "out/parts").rglob("*.npz")] == ["00000.npz"]
    assert main(case.command(*resume)) == 0
    assert f"256 of {IMAGES} maps are done already" in capsys.readouterr().err
    assert main(case.command(out="undisturbed")) == 0
    assert case.result() == case.result("undisturbed")


def test_runs_where_importing_torch_raises(case: Case) -> None:
    words = [sys.executable, "-c", WITHOUT_TORCH, *case.command("--jobs", "2")]
    done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_both_geometries_and_their_difference(case: Case) -> None:
    assert main(case.command("--geometry", "both")) == 0
    result = case.result()
    one, other = (result["geometries"][name]["measures"]["max_box_acc_v2"] for name in ("corrected", "compat"))
    assert result["difference"]["max_box_acc_v2"]["best"] == one["best"]["value"] - other["best"]["value"]


def test_a_second_split_chooses_the_threshold(case: Case, tmp_path: Path) -> None:
    other = Case(tmp_path / "other")
    select = ["--select-on", other.folder / "maps.npy", "--select-ids", other.folder / "ids.txt"]
    words = [*map(str, select), "--select-metadata", str(other.folder / "metadata")]
    assert main(case.command(*words)) == 0
    assert case.result()["geometries"]["corrected"]["measures"]["max_box_acc_50"]["selected"]["value"] == RIGHT


def test_bad_images_are_named_or_listed(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    maps = np.load(case.folder / "maps.npy").astype(np.float32)
    maps[7, 3, 3] = np.nan
    np.save(case.folder / "maps.npy", maps)
    names = (case.folder / "ids.txt").read_text()
    (case.folder / "ids.txt").write_text(names.replace("im/009.jpg", "im/another.jpg"))
    assert main(case.command()) == 2
    assert "im/another.jpg" in capsys.readouterr().err
    (case.folder / "ids.txt").write_text(names)
    assert main(case.command(out="out2")) == 2
    assert "im/007.jpg" in capsys.readouterr().err
    (case.folder / "ids.txt").write_text(names.replace("im/009.jpg", "im/another.jpg"))
    assert main(case.command("--skip-bad", out="out3")) == 0
    told = capsys.readouterr().out
    assert "3 images were left out" in told
    assert "  im/007.jpg: the score map holds NaN" in told
    result = case.result("out3")
    assert {entry["id"] for entry in result["skipped"]} == {"im/007.jpg", "im/009.jpg", "im/another.jpg"}
    assert result["geometries"]["corrected"]["images"] == IMAGES - 2


def sharded(case: Case, **settings: int) -> list[str]:
    """The command, of the same maps in shards, made of images of 48 x 48 but for the first two."""
    ids = (case.folder / "ids.txt").read_text().split()
    maps, sizes = np.load(case.folder / "maps.npy"), np.full((IMAGES, 2), 2 * SIDE)
    sizes[:2] = SIDE
    windows = np.tile([0, 0, 2 * SIDE, 2 * SIDE], (IMAGES, 1))
    with ShardWriter(case.folder / "shards", settings=settings) as writer:
        writer.add(ids, maps, windows, sizes, np.zeros((IMAGES, 1)))
    command = case.command("--skip-bad")
    return [command[0], str(case.folder / "shards"), *command[4:]]


def test_maps_of_resized_images_are_refused_or_left_out(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    words = sharded(case)
    assert main([word for word in words if word != "--skip-bad"]) == 2
    assert (
        "2 images were of another size when their maps were made: 'im/000.jpg' was 24 x 24" in capsys.readouterr().err
    )
    assert main(words) == 0
    assert [entry["id"] for entry in case.result()["skipped"]] == ["im/000.jpg", "im/001.jpg"]


@pytest.mark.parametrize(("known", "asked", "code"), [(2, [], 2), (3, [], 0), (2, ["3"], 0), (3, ["2"], 2)])
def test_labels_beyond_the_classes(
    case: Case, known: int, asked: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Classes are 0 to 2. Shards say how many their classifier knows; the option overrides them."""
    assert main([*sharded(case, classes=known), *(["--classes", *asked] if asked else [])]) == code
    if code:
        assert "100 images have a class beyond 0 to 1, which the classifier knows: 'im/002.jpg': 2" in (
            capsys.readouterr().err
        )


def test_a_part_looks_through_its_own_annotations_alone(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []

    def counted(maps: Any, truths: Any, *args: Any, **options: Any) -> Part:
        given.append(len(truths))
        return examine(maps, truths, *args, **options)

    monkeypatch.setattr(work, "examine", counted)
    assert main(case.command()) == 0
    assert given == [256, IMAGES - 256]


def test_without_the_classes_of_some_images_others_are_not_lost(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """Shards may have been made by classifiers of other classes, of which none are known."""
    ids = (case.folder / "ids.txt").read_text().split()
    maps, size = np.load(case.folder / "maps.npy"), np.array([[2 * SIDE, 2 * SIDE]])
    with ShardWriter(case.folder / "shards", settings={}, shard_size=100) as writer:
        for place, name in enumerate(ids):
            ranked = np.zeros((1, 0 if place >= 200 else 5))
            window = np.array([[0, 0, 2 * SIDE, 2 * SIDE]])
            writer.add([name], maps[place : place + 1], window, size, ranked)
    command = case.command("--skip-bad")
    assert main([command[0], str(case.folder / "shards"), *command[4:]]) == 0
    assert f"classes of 100 of {IMAGES} images are not known: im/200.jpg" in capsys.readouterr().out
    assert case.result()["geometries"]["corrected"]["images"] == IMAGES


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--select-on", "maps"], "--select-metadata"),
        (["--select-ids", "ids"], "--select-on"),
        (["--geometry", "compat", "--levels", "exact"], "compat knows"),
        (["--threshold", "1.5"], "threshold"),
    ],
)
def test_options_that_do_not_go_together(
    case: Case, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(case.command(*words)) == 2
    assert said in capsys.readouterr().err
    assert not (case.folder / "out").exists()


def test_resume_needs_out(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    words = case.command("--resume")
    place = words.index("--out")
    assert main([*words[:place], *words[place + 2 :]]) == 2
    assert "--out" in capsys.readouterr().err


def test_figures_are_drawn(case: Case) -> None:
    assert main([word for word in case.command("--rows", "none") if word != "--no-figures"]) == 0
    drawn = sorted((case.folder / "out/figures").iterdir())
    assert [path.stem.partition("_")[0] for path in drawn] == ["curves", "hits", "iou", "misses"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


def test_masks(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    ids = (case.folder / "ids.txt").read_text().split()
    for name, score_map in zip(ids, np.load(case.folder / "maps.npy"), strict=True):
        path = case.folder / "png" / f"{Path(name).stem}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(score_map).resize((2 * SIDE, 2 * SIDE), Image.Resampling.NEAREST).save(path)
        Image.new("L", (2 * SIDE, 2 * SIDE)).save(path.with_suffix(".ignore.png"))
    lines = [f"{name},{Path(name).stem}.png,{Path(name).stem}.ignore.png\n" for name in ids]
    (case.folder / "metadata/localization.txt").write_text("".join(lines))
    words = [word for word in case.command("--masks", str(case.folder / "png")) if word != "--no-figures"]
    assert main(words) == 0
    assert "PxAP: 100.00 [100.0, 100.0]" in capsys.readouterr().out
    pixels = case.result()["geometries"]["corrected"]["pixels"]
    assert (pixels["pxap"]["value"], pixels["iou"]["fixed"]["value"]) == (100, 100)
    assert [path.name for path in (case.folder / "out/figures").iterdir()] == ["precision_corrected.png"]


def test_reference_case(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "metrics/wsol"
    expected = json.loads((folder / "expected.json").read_text())["box"]
    for levels in (100, 1000):
        words = ["evaluate", folder / "scoremaps.npz", "--metadata", folder, "--geometry", "compat", "--no-figures"]
        out = tmp_path / f"{levels}"
        assert main([*map(str, words), "--levels", f"{levels}", "--out", str(out), "--rows", "none"]) == 0
        measures = json.loads((out / "result.json").read_text())["geometries"]["compat"]["measures"]
        for contours, name in (("largest", "max_box_acc"), ("all", "max_box_acc_v2")):
            told = next(
                one["max_box_acc"]
                for one in expected
                if (one["contours"], one["threshold_interval"]) == (contours, 1 / levels)
            )
            assert {iou: measures[f"{name}_{iou}"]["best"]["value"] for iou in told} == told


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from wsol.evaluate.command import parser; parser().format_help(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not {"numpy", "numba", "rich", "matplotlib", "torch", "cv2"} & set(done.stdout.split())


def test_the_example_of_the_documentation_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/wsol.md").read_text(), re.DOTALL)
    exec(compile(example, "docs/wsol.md", "exec"), {})
    assert re.match(r"MaxBoxAcc at IoU \.5: \d+\.\d at threshold 0?\.\d+, 95% interval \(", capsys.readouterr().out)
