"""`python -m eval detection`: what it prints and writes, from files of both formats, and what it refuses."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.data.voc import VOC_CLASSES
from eval.__main__ import main
from eval.detection.detections import Detections
from eval.detection.evaluation import Evaluation
from eval.detection.ground_truth import coco, voc
from tests.eval.commands import Run, running, write
from tests.eval.detection_sets import RealCase, real_case
from tests.test_architecture import BLOCK_TORCH, ROOT

CAT, DOG = VOC_CLASSES.index("cat"), VOC_CLASSES.index("dog")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return running("detection", capsys)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """VOC with two images: a cat and a difficult cat; a dog."""
    base = tmp_path / "VOCdevkit" / "VOC2007"
    for name in ("Annotations", "ImageSets/Main"):
        (base / name).mkdir(parents=True)
    (base / "ImageSets/Main/test.txt").write_text("000001\n000002\n")
    objects = {
        "000001": [("cat", 0, (1, 1, 50, 50)), ("cat", 1, (61, 1, 90, 40))],
        "000002": [("dog", 0, (1, 1, 90, 90))],
    }
    for name, found in objects.items():
        body = "".join(
            f"<object><name>{kind}</name><difficult>{hard}</difficult><bndbox><xmin>{a}</xmin><ymin>{b}</ymin>"
            f"<xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
            for kind, hard, (a, b, c, d) in found
        )
        size = "<size><width>100</width><height>100</height><depth>3</depth></size>"
        (base / f"Annotations/{name}.xml").write_text(
            f"<annotation><filename>{name}.jpg</filename>{size}{body}</annotation>"
        )
    return tmp_path


RESULTS = [
    {"image_id": "000001", "category_id": CAT, "bbox": [0, 0, 50, 50], "score": 0.9},
    {"image_id": "000002", "category_id": CAT, "bbox": [0, 0, 90, 90], "score": 0.95},
    {"image_id": "000002", "category_id": DOG, "bbox": [0, 0, 90, 60], "score": 0.8},
]


def test_what_is_printed(small: Path, run: Run) -> None:
    """Cat: its first detection is a dog, AP .5. Dog: IoU 2/3, so AP50 1 and AP75 0, found at 4 of 10 thresholds."""
    predictions = write(small / "p.json", RESULTS)
    out = run(predictions, "--voc", small, "--errors")
    assert out.startswith(f"{predictions}: 3 detections\nVOC2007 test: 2 images, 3 objects, 1 difficult or crowds")
    assert "without an object to find, left out of the means: aeroplane, bicycle" in out
    lines = {line.split("  ")[0]: line.split()[1:] for line in out.splitlines()}
    assert lines["mean"] == ["75.00", "25.00", "45.00", "2"]
    assert lines["cat"] == ["50.00", "50.00", "50.00", "1"]
    assert lines["dog"] == ["100.00", "0.00", "40.00", "1"]
    assert lines["medium (below 96^2)"][2:] == ["75.00", "25.00", "45.00", "2"]
    assert lines["classification"] == ["1", "+25.00"]
    assert "detectron2, 11 points" in out


def test_json_holds_what_was_asked_for(small: Path, run: Run, tmp_path: Path) -> None:
    predictions = write(small / "p.json", RESULTS)
    out = tmp_path / "new" / "out.json"
    assert run(predictions, "--voc", small, "--json", out).endswith(f"Written: {out}\n")
    found = json.loads(out.read_text())
    assert set(found) == {"predictions", "ground_truth", "images", "detections", "voc"}
    assert found["voc"]["ap50"] == pytest.approx(75.0)
    assert found["voc"]["semantics"] == "detectron2"
    everything = ("--bootstrap", 100, "--errors", "--all-semantics", "--against", predictions)
    run(predictions, "--voc", small, "--json", out, "--semantics", "chainercv", "--rule", "area", *everything)
    found = json.loads(out.read_text())
    assert (found["voc"]["semantics"], found["voc"]["rule"]) == ("chainercv", "area")
    assert found["intervals"]["resamples"] == 100
    ap50 = found["voc"]["ap50"]
    same = {"first": ap50, "second": ap50, "value": 0.0, "interval": [0.0, 0.0], "share_above": 0.0}
    assert found["difference"]["ap50"] == same
    assert found["errors"]["classification"]["count"] == 1
    assert found["side_by_side"][-1]["name"] == "COCO"


def test_text_files_give_the_same(small: Path, run: Run, tmp_path: Path) -> None:
    """VOC's own: 1-based corners, both ends inside."""
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "comp4_det_test_cat.txt").write_text("000001 0.9 1 1 50 50\n000002 0.95 1 1 90 90\n")
    (folder / "comp4_det_test_dog.txt").write_text("000002 0.8 1 1 90 60\n")
    of_text = run(folder, "--voc", small).splitlines()[1:]
    assert of_text == run(write(small / "p.json", RESULTS), "--voc", small).splitlines()[1:]


def test_categories_counted_from_one(small: Path, run: Run) -> None:
    shifted = [{**entry, "category_id": int(str(entry["category_id"])) + 1} for entry in RESULTS]
    predictions = write(small / "p.json", shifted)
    assert re.search(r"^mean +75\.00", run(predictions, "--voc", small, "--first-category", 1), re.MULTILINE)


def test_a_file_counted_from_one_without_the_last_class_is_a_warning(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its ids are all known, but each is another class's."""
    entries = [{**RESULTS[0], "category_id": number} for number in range(1, len(VOC_CLASSES))]
    for found, args, warned in (
        (entries, (), True),
        (entries[1:], (), False),
        (entries, ("--first-category", "0"), False),
    ):
        assert main(["detection", str(write(small / "p.json", found)), "--voc", str(small), *args]) == 0
        assert ("p.json: no detection of aeroplane, but" in (said := capsys.readouterr().err)) == warned
        assert ("--first-category 1" in said) == warned


def test_a_difference_takes_the_resamples_that_are_asked_for(small: Path, run: Run, tmp_path: Path) -> None:
    predictions, other = write(small / "p.json", RESULTS), write(small / "q.json", RESULTS[:1])
    one = Evaluation(Detections.from_coco(RESULTS), voc(small))
    two = Evaluation(Detections.from_coco(RESULTS[:1]), voc(small))
    for args, resamples in (((), 1000), (("--bootstrap", 150), 150)):
        run(predictions, "--voc", small, "--against", other, "--json", tmp_path / "out.json", *args)
        found = json.loads((tmp_path / "out.json").read_text())["difference"]["ap"]
        assert found["share_above"] == one.minus(two, resamples)["ap"].share_above
        assert 0 < found["share_above"] < 1


def test_rule_follows_the_year(small: Path) -> None:
    assert voc(small).rule == "11 points"
    (small / "VOCdevkit/VOC2007").rename(small / "VOCdevkit/VOC2012")
    names = small / "VOCdevkit/VOC2012/ImageSets/Main/test.txt"
    names.write_text("2008_000001\n")
    annotations = small / "VOCdevkit/VOC2012/Annotations"
    (annotations / "000001.xml").rename(annotations / "2008_000001.xml")
    assert voc(small, "2012").rule == "area"


INSTANCES = {
    "images": [{"id": 7, "file_name": "7.jpg", "width": 100, "height": 100}],
    "categories": [{"id": 3, "name": "cat"}, {"id": 1, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 3, "bbox": [0, 0, 50, 50], "area": 2500, "iscrowd": 0},
        {"id": 2, "image_id": 7, "category_id": 1, "bbox": [50, 0, 50, 50], "area": 2500, "iscrowd": 0},
    ],
}


def test_coco_prints_its_twelve_and_voc_on_demand(tmp_path: Path, run: Run) -> None:
    truth = write(tmp_path / "instances.json", INSTANCES)
    results = [{"image_id": 7, "category_id": 3, "bbox": [0, 0, 50, 50], "score": 0.5}]
    predictions = write(tmp_path / "p.json", results)
    out = run(predictions, "--coco", truth)
    assert "COCO\nAP     50.00\n" in out
    assert "mean" not in out
    assert len(out[out.index("COCO") :].splitlines()) == 13
    out = run(predictions, "--coco", truth, "--semantics", "voc-devkit")
    assert "voc-devkit, area\n" in out
    assert "\ncat                  100.00  100.00  100.00        1\n" in out
    assert coco(truth).category_ids == (1, 3)


def test_coco_case(real_data: Path, run: Run, tmp_path: Path) -> None:
    case = real_data / "metrics" / "coco_bbox"
    out = tmp_path / "out.json"
    run(case / "sampled_bbox_results.json", "--coco", case / "sampled_gts_bbox_area.json", "--json", out)
    expected = json.loads((case / "expected.json").read_text())
    found = json.loads(out.read_text())["coco"]
    assert {name: value / 100 for name, value in found.items()} == pytest.approx(
        {name: value for name, value in expected.items() if name != "source"}, abs=1e-6
    )


def test_real_case(real_data: Path, run: Run, tmp_path: Path) -> None:
    """detectron2's numbers; the figure and its points; a worse set of predictions is below in most resamples."""
    case: RealCase = real_case(real_data)
    better = write(tmp_path / "better.json", case.results())
    worse = write(tmp_path / "worse.json", [entry for entry in case.results() if entry["category_id"] != 14])
    out, figure = tmp_path / "out.json", tmp_path / "curves.svg"
    text = run(better, "--voc", real_data, "--against", worse, "--bootstrap", 200, "--json", out, "--curves", figure)
    found = json.loads(out.read_text())
    expected = case.expected["voc07_11point"]
    names = {"AP": "ap", "AP50": "ap50", "AP75": "ap75"}
    assert {name: found["voc"][key] for name, key in names.items()} == pytest.approx(
        {name: expected[name] for name in names}, abs=0.02
    ), "to detectron2's rounding of scores and boxes"
    person = expected["AP50_per_class"]["person"]
    assert found["difference"]["ap50"]["value"] == pytest.approx(person / 20, abs=0.01)
    assert found["difference"]["ap50"]["share_above"] == 1.0
    low, high = found["intervals"]["overall"]["ap50"]
    assert f"95% intervals from 200 resamples of the images: AP50 {low:.2f} to {high:.2f}" in text
    assert figure.read_text().startswith("<?xml")
    assert (tmp_path / "curves.csv").read_text().startswith("class,iou,score,recall,precision\naeroplane,0.5,")


def test_side_by_side_agrees_with_each_alone(real_data: Path) -> None:
    case = real_case(real_data)
    one = Evaluation(case.detections, voc(real_data))
    rows = {(row.name, row.rule): row for row in one.side_by_side()}
    assert rows["detectron2", "11 points"].ap50 == one.scores.ap50
    assert rows["detectron2, rounded as written", "area"].ap == pytest.approx(case.expected["area"]["AP"], abs=1e-9)
    values = [row.ap50 for row in rows.values()]
    assert max(values) - min(values) > 5, "the same detections"


def test_no_detections_are_a_warning(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictions = write(small / "p.json", [])
    assert main(["detection", str(predictions), "--voc", str(small), "--all-semantics", "--errors"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith(f"warning: {predictions}: no detections at all")
    assert re.search(r"^mean +0\.00 +0\.00 +0\.00 +2$", captured.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("change", "args", "message"),
    [
        ({"image_id": "000009"}, (), "p.json: detections in images without ground truth: 000009"),
        ({"image_id": 1}, (), 'such as 000001. These ids are text of 6 digits: "000001", not 1'),
        ({"category_id": 20}, (), "20 is not known; there are 0, 1"),
        ({"category_id": 20}, (), "19; a file whose category_id counts from 1 needs --first-category 1"),
        ({"score": 1.5}, (), "score"),
        (
            {"bbox": [5, 5, -1, 5]},
            (),
            "image '000001': a box whose end precedes its start: score 0.9, corners 5 5 4 10",
        ),
        ({}, ("--semantics", "coco"), "--semantics coco: expected one of detectron2, voc-devkit"),
        ({"image_id": "unread"}, ("--curves", "curves.csv"), "curves.csv: expected the name of a figure"),
        ({"image_id": "unread"}, ("--curves", "c.txt"), "c.txt: expected the name of a figure, .png, .pdf or .svg"),
        ({"image_id": "unread"}, ("--json", "."), ".: cannot be written: a folder has this name"),
        ({"image_id": "unread"}, ("--json", f"{__file__}/out.json"), f"{__file__} is no folder"),
        ({}, ("--seed", "3"), "--seed: of --bootstrap and --against"),
        ({}, ("--year", "2012"), "VOC 2012"),
        ({}, ("--image-set", "val"), "Sets there are: test"),
    ],
)
def test_refused(small: Path, run: Run, change: dict[str, Any], args: tuple[str, ...], message: str) -> None:
    predictions = write(small / "p.json", [RESULTS[0] | change])
    assert message in run(predictions, "--voc", small, *args, code=2)


def test_no_input_is_written_over(small: Path, run: Run) -> None:
    predictions = write(small / "p.json", RESULTS)
    for args in (("--json", predictions), ("--json", small / "q.json", "--against", small / "q.json")):
        assert "is read; it is not written over" in run(predictions, "--voc", small, *args, code=2)
    same = run(predictions, "--voc", small, "--curves", small / "c.svg", "--json", small / "c.csv", code=2)
    assert "two files of one name" in same
    assert json.loads(predictions.read_text()) == RESULTS


def test_of_two_files_the_wrong_one_is_named(small: Path, run: Run) -> None:
    good, wrong = write(small / "p.json", RESULTS), write(small / "q.json", [RESULTS[0] | {"image_id": 1}])
    assert f"{wrong}: detections in images" in run(good, "--voc", small, "--against", wrong, code=2)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--bootstrap", "10", "expected at least 100"),
        ("--bootstrap", "many", "many, expected at least 100"),
        ("--seed", "-1", "-1, expected a whole number, 0 or more"),
    ],
)
def test_numbers_that_are_refused(capsys: pytest.CaptureFixture[str], option: str, value: str, message: str) -> None:
    with pytest.raises(SystemExit):
        main(["detection", "p.json", "--voc", "root", option, value])
    assert message in capsys.readouterr().err


def test_options_of_voc_are_not_passed_over(tmp_path: Path, run: Run) -> None:
    truth, predictions = write(tmp_path / "instances.json", INSTANCES), write(tmp_path / "p.json", [])
    message = run(predictions, "--coco", truth, "--first-category", 0, "--image-set", "val", code=2)
    assert message.startswith("--image-set, --first-category: of --voc")


def test_categories_of_one_name_are_told_apart(tmp_path: Path) -> None:
    categories = [{"id": 3, "name": "cat"}, {"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    assert coco(write(tmp_path / "instances.json", INSTANCES | {"categories": categories})).classes == (
        "cat (1)", "dog", "cat (3)"
    )  # fmt: skip


def test_coco_without_an_object_to_find_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = write(tmp_path / "instances.json", INSTANCES | {"annotations": []})
    found = [{"image_id": 7, "category_id": 3, "bbox": [0, 0, 50, 50], "score": 0.5}]
    assert main(["detection", str(write(tmp_path / "p.json", found)), "--coco", str(truth)]) == 0
    captured = capsys.readouterr()
    assert captured.err == "warning: ground truth: no object to find: every one of COCO's numbers is NaN\n"
    assert captured.out.count(" nan\n") == 12


def test_an_ignored_object_is_vocs_difficult_and_cocos_own_numbers_do_not_see_it(tmp_path: Path, run: Run) -> None:
    marked = [one | {"ignore": one["category_id"] == 1} for one in INSTANCES["annotations"]]
    predictions = write(tmp_path / "p.json", [{"image_id": 7, "category_id": 3, "bbox": [0, 0, 50, 50], "score": 0.5}])
    out = run(
        predictions, "--coco", write(tmp_path / "instances.json", INSTANCES | {"annotations": marked}), "--errors"
    )
    assert "COCO\nAP     50.00\n" in out
    assert re.search(r"^mean +100\.00 +100\.00 +100\.00 +1$", out, re.MULTILINE)


@pytest.mark.parametrize("args", [(), ("--bootstrap", 100), ("--errors",), ("--all-semantics",)])
def test_a_ground_truth_without_an_object_to_find(tmp_path: Path, run: Run, args: tuple[object, ...]) -> None:
    crowd = [INSTANCES["annotations"][0] | {"iscrowd": 1}]
    truth = write(tmp_path / "instances.json", INSTANCES | {"annotations": crowd})
    predictions = write(tmp_path / "p.json", [])
    said = run(predictions, "--coco", truth, "--rule", "area", *args, code=2)
    assert re.search("no(ne of 2 classes| resample) has an object", said)


def test_numbers_are_printed_though_a_file_cannot_be_written(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    predictions = write(small / "p.json", RESULTS)
    monkeypatch.setattr(Path, "replace", full)
    assert main(["detection", str(predictions), "--voc", str(small), "--json", str(small / "out.json")]) == 2
    captured = capsys.readouterr()
    assert "cannot be written: No space left" in captured.err
    assert re.search(r"^mean +75\.00", captured.out, re.MULTILINE)


def test_a_closed_pipe_is_no_traceback_and_costs_no_file(small: Path) -> None:
    predictions, out = write(small / "p.json", RESULTS), small / "out.json"
    command: list[str | Path] = [sys.executable, "-m", "eval", "detection", predictions, "--voc", small, "--json", out]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as pipe:
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(out.read_text())["voc"]["ap50"] == pytest.approx(75)


def test_ctrl_c_is_a_word(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("eval.detection.command.run", interrupted)
    assert main(["detection", "p.json", "--voc", "root"]) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_runs_without_torch(small: Path) -> None:
    predictions = write(small / "p.json", RESULTS)
    args = ["eval", "detection", str(predictions), "--voc", str(small), "--errors", "--bootstrap", "100"]
    code = f"{BLOCK_TORCH}\nsys.argv = {args!r}\nimport runpy\nrunpy.run_module('eval', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^mean +75\.00 +25\.00 +45\.00 ", done.stdout, re.MULTILINE)
