"""What VOC's average precision costs: `python -m benchmarks.voc_ap [--rounds N] [--detectron2 N] [--pycocotools]`.

A set of the shape of VOC07 test is made from a seed: 4952 images, 14,976 objects, 495,200 detections. One process, one
thread, CPU seconds, the entries in turn within each round, so that the ratios hold on a busy machine:

    read            the results JSON (52 MB) into arrays
    ours            all ten IoUs, AP50, AP75 and AP, per class and per size, from arrays and scenes
    faster-coco-eval, pycocotools    `evaluate` and `accumulate`, all ten IoUs; reading and indexing not counted
    detectron2      its PascalVOCDetectionEvaluator's `evaluate`, all ten IoUs, where the package can be imported; it
                    takes minutes, so it is measured in the first N rounds only
    chainercv       `eval_detection_voc` at one IoU, where the package can be imported

Memory is that of a fresh process that reads and evaluates (Linux).
"""

import argparse
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.quick import machine
from eval.detection.detections import Detections
from eval.detection.reading import read_detections
from eval.detection.semantics import VARIANTS
from eval.detection.voc import voc_ap

IMAGES, OBJECTS, EACH = 4952, 14_976, 100
CLASSES = tuple(f"class{k:02}" for k in range(20))
AIMS = {
    "ours, seconds": ("at most", 1.0),
    "ours, GiB at peak": ("at most", 1.0),
    "read, seconds": ("at most", 3.0),
    "detectron2 / ours": ("at least", 50.0),
    "faster-coco-eval / ours": ("at least", 5.0),
}
"""Issue 5's."""
Calls = dict[str, Callable[[], Any]]


@dataclass(frozen=True)
class Scene:
    """One image's objects, as `eval.detection.truth.Scene` asks for them."""

    id: str
    boxes: tuple[tuple[float, float, float, float], ...]
    labels: tuple[int, ...]
    difficult: tuple[bool, ...]


def main() -> None:
    """Measure and print; write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pycocotools", action="store_true", help="pycocotools too (half a minute a round)")
    parser.add_argument("--detectron2", type=int, default=1, help="rounds with detectron2")
    parser.add_argument("--out", type=Path, help="write the numbers to this JSON file")
    parser.add_argument("--memory", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory:
        print(json.dumps(memory(args.memory)))
        return
    scenes, found = shaped(seed=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "detections.json"
        path.write_text(json.dumps(coco_results(found)))
        path.with_name("scenes.json").write_text(json.dumps([astuple(scene) for scene in scenes]))
        del found
        numbers = measured(path, scenes, args.rounds, args.detectron2, pycocotools=args.pycocotools)
        command = [sys.executable, "-m", "benchmarks.voc_ap", "--memory", str(path)]
        numbers |= json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
    for name, value in numbers.items():
        aim = "   (aim: {} {})".format(*AIMS[name]) if name in AIMS else ""
        print(f"{name:38} {value:>10.3f}{aim}")
    if args.out:
        args.out.write_text(json.dumps({"machine": machine(), "numbers": numbers, "aims": AIMS}, indent=1) + "\n")


def shaped(seed: int) -> tuple[list[Scene], Detections]:
    """A set of VOC07 test's shape: 1 to 10 objects an image, a fifth difficult, most detections near an object."""
    rng = np.random.default_rng(seed)
    each = 1 + rng.multinomial(OBJECTS - IMAGES, np.ones(IMAGES) / IMAGES)
    extent = np.array([500, 375])
    sides = np.minimum(np.exp(rng.uniform(np.log(15), np.log(400), (OBJECTS, 2))).astype(int), extent - 2)
    corners = (rng.random((OBJECTS, 2)) * (extent - sides)).astype(int)
    boxes = np.hstack([corners, corners + sides])
    labels, difficult = rng.integers(0, len(CLASSES), OBJECTS), rng.random(OBJECTS) < 0.2
    starts = np.append(0, np.cumsum(each))
    scenes = []
    for image, (begin, end) in enumerate(pairwise(starts.tolist()), 1):
        rows = tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in boxes[begin:end].astype(float).tolist())
        flags = tuple(difficult[begin:end].tolist())
        scenes.append(Scene(f"{image:06}", rows, tuple(labels[begin:end].tolist()), flags))

    count = IMAGES * EACH
    images = np.repeat(np.arange(IMAGES), EACH)
    near = rng.random(count) < 0.6
    at = starts[images] + (rng.random(count) * each[images]).astype(int)
    moved = boxes[at] + rng.normal(0, 0.12, (count, 4)) * np.tile(sides[at], 2)
    elsewhere = rng.random((count, 2)) * extent
    moved[~near] = np.hstack([elsewhere, elsewhere + rng.uniform(5, 200, (count, 2))])[~near]
    moved = np.hstack([np.minimum(moved[:, :2], moved[:, 2:]), np.maximum(moved[:, :2], moved[:, 2:])])
    kinds = np.where(near & (rng.random(count) < 0.7), labels[at], rng.integers(0, len(CLASSES), count))
    scores = np.where(near, rng.beta(2, 2, count), rng.beta(1, 6, count))
    ids = [scenes[image].id for image in images.tolist()]
    return scenes, Detections(ids, kinds, scores.round(6), moved.round(3))


def coco_results(found: Detections) -> list[dict[str, Any]]:
    """The detections as a COCO results list."""
    boxes = np.hstack([found.boxes[:, :2], (found.boxes[:, 2:] - found.boxes[:, :2]).round(3)])
    rows = zip(found.image_ids, found.labels.tolist(), boxes.tolist(), found.scores.tolist(), strict=True)
    return [{"image_id": image, "category_id": label, "bbox": box, "score": score} for image, label, box, score in rows]


def memory(path: Path) -> dict[str, float]:
    """GiB: the peaks while reading and while evaluating, and what the process held in between."""
    scenes: list[Scene] = [Scene(*fields) for fields in json.loads(path.with_name("scenes.json").read_text())]
    found = read_detections(path, CLASSES)
    reading, held = status("VmHWM"), status("VmRSS")
    voc_ap(found, scenes, CLASSES)
    return {"read, GiB at peak": reading, "held after reading, GiB": held, "ours, GiB at peak": status("VmHWM")}


def status(key: str) -> float:
    """A figure of this process, in GiB, as Linux has it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 2**20


def measured(
    path: Path, scenes: list[Scene], rounds: int, with_detectron2: int, *, pycocotools: bool
) -> dict[str, float]:
    """Median CPU seconds of every entry, and ratios to ours."""
    found = read_detections(path, CLASSES)
    calls: Calls = {
        "read": lambda: read_detections(path, CLASSES),
        "ours": lambda: voc_ap(found, scenes, CLASSES),
        **coco_calls(found, scenes, pycocotools=pycocotools),
        **chainercv_calls(found, scenes),
    }
    slow = detectron2_calls(found, scenes, path.parent)
    seconds: dict[str, list[float]] = {name: [] for name in [*calls, *slow]}
    results: dict[str, Any] = {}
    for round_ in range(rounds):
        for name, call in (calls | (slow if round_ < with_detectron2 else {})).items():
            started = time.process_time()
            results[name] = call()
            seconds[name].append(time.process_time() - started)
    times = {name: statistics.median(values) for name, values in seconds.items() if values}
    ratios = {f"{name} / ours": value / times["ours"] for name, value in times.items() if name not in ("read", "ours")}
    agreement = {"ours, AP": results["ours"].ap, "ours, AP50": results["ours"].ap50}
    if "detectron2" in results:  # differs by its ties, which it orders by chance
        written = voc_ap(found, scenes, CLASSES, semantics=VARIANTS["detectron2, rounded as written"])
        agreement |= {"ours rounded as written, AP": written.ap, "ours rounded as written, AP50": written.ap50}
        agreement |= {f"detectron2, {key}": float(results["detectron2"]["bbox"][key]) for key in ("AP", "AP50")}
    return {f"{name}, seconds": value for name, value in times.items()} | ratios | agreement


def coco_calls(found: Detections, scenes: list[Scene], *, pycocotools: bool) -> Calls:
    """COCO's evaluation, ready to run, by both libraries."""
    objects: list[dict[str, Any]] = [
        {"image_id": image, "category_id": label + 1, "bbox": [x0, y0, x1 - x0, y1 - y0], "iscrowd": 0}
        for image, scene in enumerate(scenes, 1)
        for (x0, y0, x1, y1), label in zip(scene.boxes, scene.labels, strict=True)
    ]
    truth = {
        "images": [{"id": image} for image in range(1, len(scenes) + 1)],
        "categories": [{"id": label + 1, "name": name} for label, name in enumerate(CLASSES)],
        "annotations": [
            {**entry, "id": at, "area": entry["bbox"][2] * entry["bbox"][3]} for at, entry in enumerate(objects, 1)
        ],
    }
    results = [
        entry | {"image_id": int(entry["image_id"]), "category_id": entry["category_id"] + 1}
        for entry in coco_results(found)
    ]

    def call(evaluator: Any) -> Callable[[], None]:
        def run() -> None:
            with contextlib.redirect_stdout(io.StringIO()):
                evaluator.evaluate()
                evaluator.accumulate()

        return run

    calls: Calls = {}
    for name, module, method in (
        ("faster-coco-eval", "faster_coco_eval", "COCOeval_faster"),
        *([("pycocotools", "pycocotools.cocoeval", "COCOeval")] if pycocotools else []),
    ):
        with contextlib.redirect_stdout(io.StringIO()):
            known = import_module("faster_coco_eval" if name == "faster-coco-eval" else "pycocotools.coco").COCO()
            known.dataset = truth
            known.createIndex()
            calls[name] = call(
                getattr(import_module(module), method)(known, known.loadRes([dict(entry) for entry in results]), "bbox")
            )
    return calls


def chainercv_calls(found: Detections, scenes: list[Scene]) -> Calls:
    """chainercv's evaluation at IoU .5, ready to run; its boxes are y0, x0, y1, x1 with both ends inside."""
    try:
        evaluate = import_module("chainercv.evaluations").eval_detection_voc
    except ImportError:
        print("chainercv cannot be imported: left out")
        return {}
    names = np.array(found.image_ids).reshape(-1, EACH)[:, 0].tolist()
    if names != [scene.id for scene in scenes]:
        raise AssertionError("a hundred detections of every image, in the scenes' order")
    inside = (found.boxes - [0, 0, 1, 1])[:, [1, 0, 3, 2]].reshape(-1, EACH, 4)
    labels, scores = found.labels.reshape(-1, EACH), found.scores.reshape(-1, EACH)
    objects = [(np.array(scene.boxes) - [0, 0, 1, 1])[:, [1, 0, 3, 2]] for scene in scenes]
    kinds = [np.array(scene.labels) for scene in scenes]
    hard = [np.array(scene.difficult) for scene in scenes]
    return {"chainercv, one IoU": lambda: evaluate(inside, labels, scores, objects, kinds, hard, use_07_metric=True)}


def detectron2_calls(found: Detections, scenes: list[Scene], folder: Path) -> Calls:
    """detectron2's own evaluator, ready to run: the ground truth lies in XML files, the detections are collected."""
    try:
        catalog = import_module("detectron2.data").MetadataCatalog
        evaluator = import_module("detectron2.evaluation").PascalVOCDetectionEvaluator
    except ImportError:
        print("detectron2 cannot be imported: left out")
        return {}
    (folder / "Annotations").mkdir()
    (folder / "ImageSets/Main").mkdir(parents=True)
    (folder / "ImageSets/Main/test.txt").write_text("".join(f"{scene.id}\n" for scene in scenes))
    for scene in scenes:
        (folder / f"Annotations/{scene.id}.xml").write_text(xml(scene))
    catalog.get("voc_shaped").set(dirname=str(folder), split="test", year=2007, thing_classes=list(CLASSES))
    evaluation = evaluator("voc_shaped")
    evaluation.reset()
    rows = zip(found.image_ids, found.labels.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
    for image, label, score, (x0, y0, x1, y1) in rows:  # what its `process` makes of them
        evaluation._predictions[label].append(f"{image} {score:.3f} {x0 + 1:.1f} {y0 + 1:.1f} {x1:.1f} {y1:.1f}")
    return {"detectron2": evaluation.evaluate}


def xml(scene: Scene) -> str:
    """The scene's annotation as VOC writes it: corners from 1, both ends inside."""
    objects = "".join(
        f"<object><name>{CLASSES[label]}</name><pose>Left</pose><truncated>0</truncated>"
        f"<difficult>{int(difficult)}</difficult><bndbox><xmin>{int(x0) + 1}</xmin><ymin>{int(y0) + 1}</ymin>"
        f"<xmax>{int(x1)}</xmax><ymax>{int(y1)}</ymax></bndbox></object>"
        for (x0, y0, x1, y1), label, difficult in zip(scene.boxes, scene.labels, scene.difficult, strict=True)
    )
    return f"<annotation>{objects}</annotation>"


if __name__ == "__main__":
    main()
