"""Tiny detection sets for the tests: coloured squares on grey, a class per colour, as PNG files and records."""

from pathlib import Path

import numpy as np
from PIL import Image

from core.backbone import Backbone, Spec, build
from core.data.records import SceneRecord
from core.data.voc import VOC_CLASSES

COLOURS = ((220, 40, 40), (40, 200, 60), (50, 60, 220))


def backbone(name: str = "test_resnet") -> Backbone:
    """An untrained timm network."""
    spec = Spec(architecture=f"timm:{name}", num_classes=10, input_size=64)
    return Backbone(spec, build(spec), "untrained")


def scene(folder: Path, name: str, size: tuple[int, int], objects: list[tuple[int, int, int, int]]) -> SceneRecord:
    """An image of `size` (width, height) with objects (class, x, y, side)."""
    image = np.full((size[1], size[0], 3), 128, np.uint8)
    for label, x, y, side in objects:
        image[y : y + side, x : x + side] = COLOURS[label]
    path = folder / f"{name}.png"
    Image.fromarray(image).save(path)
    boxes = tuple((float(x), float(y), float(x + side), float(y + side)) for _, x, y, side in objects)
    return SceneRecord(name, path, size, boxes, tuple(o[0] for o in objects), (False,) * len(objects))


def scenes(folder: Path) -> tuple[SceneRecord, ...]:
    """Four images, two sizes, three classes; the last has no objects."""
    return (
        scene(folder, "000001", (120, 90), [(0, 10, 20, 40), (1, 70, 30, 36)]),
        scene(folder, "000002", (90, 120), [(2, 30, 50, 44)]),
        scene(folder, "000003", (120, 90), [(1, 12, 8, 50), (2, 74, 44, 40)]),
        scene(folder, "000004", (120, 90), []),
    )


def write_voc(root: Path) -> None:
    """The four images as a VOC2007 folder, both as trainval and as test; one object of the third is difficult."""
    base = root / "VOCdevkit" / "VOC2007"
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (base / name).mkdir(parents=True)
    records = scenes(root)
    for record in records:
        Image.open(record.path).save(base / "JPEGImages" / f"{record.id}.jpg", quality=95)
        objects = "".join(
            f"<object><name>{VOC_CLASSES[label]}</name>"
            f"<difficult>{int((record.id, i) == ('000003', 1))}</difficult><bndbox>"
            f"<xmin>{x0 + 1:g}</xmin><ymin>{y0 + 1:g}</ymin><xmax>{x1:g}</xmax><ymax>{y1:g}</ymax></bndbox></object>"
            for i, ((x0, y0, x1, y1), label) in enumerate(zip(record.boxes, record.labels, strict=True))
        )
        size = f"<size><width>{record.size[0]}</width><height>{record.size[1]}</height><depth>3</depth></size>"
        (base / "Annotations" / f"{record.id}.xml").write_text(f"<annotation>{size}{objects}</annotation>")
    for split in ("trainval", "test"):
        lines = "".join(f"{record.id}\n" for record in records)
        (base / "ImageSets" / "Main" / f"{split}.txt").write_text(lines)
