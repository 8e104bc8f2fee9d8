"""The four data sets of a world, as the official archives unpack.

Each data set is an `Album`: how many pictures, and an iterator that writes one picture a step and the annotations last.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from core.data.synthetic import pictures
from core.data.synthetic.grammar import Thing, captions
from core.data.synthetic.scenes import Placed, Scene
from core.data.synthetic.sprites import Pixels
from core.data.synthetic.world import World

_QUALITY = 92  # of the JPEGs


@dataclass(frozen=True)
class Album:
    """A data set to write."""

    name: str
    pictures: int
    steps: Iterator[None]


def albums(world: World, root: Path) -> tuple[Album, ...]:
    """All four; nothing is written before their steps are taken."""
    return (
        Album("ImageNet", world.imagenet_classes * (world.imagenet_train + world.imagenet_val), imagenet(world, root)),
        Album("CUB-200-2011", world.cub_classes * (world.cub_train + world.cub_test), cub(world, root)),
        Album("VOC2007", world.voc_trainval + world.voc_test, voc(world, root)),
        Album("COCO captions", world.coco_train + world.coco_val, coco(world, root)),
    )


def imagenet(world: World, root: Path) -> Iterator[None]:
    """imagenet/{train,val}/<wnid>/*.JPEG, and the boxes of val as wsolevaluation's metadata."""
    folder = root / "imagenet"
    wnids = [f"n{label + 1:08d}" for label in range(world.imagenet_classes)]
    for index in range(world.imagenet_classes * world.imagenet_train):
        wnid = wnids[index % len(wnids)]
        scene = pictures.one_species(world, "imagenet/train", index)
        _save(folder / "train" / wnid / f"{wnid}_{index + 1}.JPEG", scene.pixels)
        yield
    lines: dict[str, list[str]] = {name: [] for name in ("image_ids", "class_labels", "image_sizes", "localization")}
    for index in range(world.imagenet_classes * world.imagenet_val):
        label = index % len(wnids)
        scene = pictures.one_species(world, "imagenet/val", index)
        image = f"val/{wnids[label]}/ILSVRC2012_val_{index + 1:08d}.JPEG"
        _save(folder / image, scene.pixels)
        lines["image_ids"].append(image)
        lines["class_labels"].append(f"{image},{label}")
        lines["image_sizes"].append(f"{image},{scene.pixels.shape[1]},{scene.pixels.shape[0]}")
        for x0, y0, x1, y1 in (placed.box for placed in scene.objects):
            lines["localization"].append(f"{image},{x0},{y0},{x1 - 1},{y1 - 1}")
        yield
    for name, rows in lines.items():
        _text(folder / "localization" / f"{name}.txt", rows)


def cub(world: World, root: Path) -> Iterator[None]:
    """CUB_200_2011/images/<class>/*.jpg, and its lists; boxes are x, y, width, height."""
    folder = root / "CUB_200_2011"
    names = [f"{label + 1:03d}.Synthetic_{_letters(label)}" for label in range(world.cub_classes)]
    rows: dict[str, list[str]] = {
        name: [] for name in ("images", "image_class_labels", "train_test_split", "bounding_boxes")
    }
    for index in range(world.cub_classes * (world.cub_train + world.cub_test)):
        label, number = index % world.cub_classes, index // world.cub_classes
        scene = pictures.bird(world, "cub", index)
        image = f"{names[label]}/{names[label][4:]}_{number + 1:04d}_{index + 1}.jpg"
        _save(folder / "images" / image, scene.pixels)
        x0, y0, x1, y1 = scene.objects[0].box
        rows["images"].append(f"{index + 1} {image}")
        rows["image_class_labels"].append(f"{index + 1} {label + 1}")
        rows["train_test_split"].append(f"{index + 1} {int(number < world.cub_train)}")
        rows["bounding_boxes"].append(f"{index + 1} {x0:.1f} {y0:.1f} {x1 - x0:.1f} {y1 - y0:.1f}")
        yield
    _text(folder / "classes.txt", [f"{label + 1} {name}" for label, name in enumerate(names)])
    for name, lines in rows.items():
        _text(folder / f"{name}.txt", lines)


def voc(world: World, root: Path) -> Iterator[None]:
    """VOCdevkit/VOC2007/{JPEGImages,Annotations,ImageSets/Main}; boxes are 1-based with their last pixel."""
    folder = root / "VOCdevkit" / "VOC2007"
    names: dict[str, list[str]] = {"trainval": [], "test": []}
    for index in range(world.voc_trainval + world.voc_test):
        split = "trainval" if index < world.voc_trainval else "test"
        scene = pictures.street(world, "voc", index)
        name = f"{index + 1:06d}"
        names[split].append(name)
        _save(folder / "JPEGImages" / f"{name}.jpg", scene.pixels)
        _text(folder / "Annotations" / f"{name}.xml", _annotation(name, scene))
        yield
    half = (world.voc_trainval + 1) // 2
    names |= {"train": names["trainval"][:half], "val": names["trainval"][half:]}
    for split, images in names.items():
        _text(folder / "ImageSets" / "Main" / f"{split}.txt", images)


def _annotation(name: str, scene: Scene) -> list[str]:
    height, width = scene.pixels.shape[:2]
    lines = ["<annotation>", "\t<folder>VOC2007</folder>", f"\t<filename>{name}.jpg</filename>"]
    lines += ["\t<source>", "\t\t<database>Synthetic world</database>", "\t</source>"]
    lines += ["\t<size>", f"\t\t<width>{width}</width>", f"\t\t<height>{height}</height>", "\t\t<depth>3</depth>"]
    lines += ["\t</size>", "\t<segmented>0</segmented>"]
    for placed in scene.objects:
        x0, y0, x1, y1 = placed.box
        lines += ["\t<object>", f"\t\t<name>{placed.species.family}</name>", "\t\t<pose>Unspecified</pose>"]
        lines += [f"\t\t<truncated>{int(placed.visible < 0.9)}</truncated>"]
        lines += [f"\t\t<difficult>{int(difficult(placed))}</difficult>", "\t\t<bndbox>"]
        lines += [f"\t\t\t<xmin>{x0 + 1}</xmin>", f"\t\t\t<ymin>{y0 + 1}</ymin>"]
        lines += [f"\t\t\t<xmax>{x1}</xmax>", f"\t\t\t<ymax>{y1}</ymax>", "\t\t</bndbox>", "\t</object>"]
    return [*lines, "</annotation>"]


def difficult(placed: Placed) -> bool:
    """Mostly out of sight, or tiny: VOC's evaluation leaves it out."""
    x0, y0, x1, y1 = placed.box
    return placed.visible < 0.5 or min(x1 - x0, y1 - y0) < 10


def coco(world: World, root: Path) -> Iterator[None]:
    """coco/{train2017,val2017}/*.jpg and annotations/captions_*.json with five captions an image."""
    folder = root / "coco"
    first = 0
    for split, count in (("train2017", world.coco_train), ("val2017", world.coco_val)):
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for index in range(first, first + count):
            scene = pictures.captioned(world, "coco", index)
            height, width = scene.pixels.shape[:2]
            file = f"{index + 1:012d}.jpg"
            _save(folder / split / file, scene.pixels)
            images.append({"id": index + 1, "file_name": file, "width": width, "height": height, "license": 1})
            for caption in captions([_thing(placed, width, height) for placed in scene.objects], scene.setting):
                number = len(annotations) + 5 * first + 1
                annotations.append({"image_id": index + 1, "id": number, "caption": caption})
            yield
        first += count
        document = {
            "info": {"description": f"synthetic world {world.name}", "version": "1.0", "year": 2017},
            "licenses": [{"id": 1, "name": "MIT License", "url": "https://opensource.org/license/mit"}],
            "images": images,
            "annotations": annotations,
        }
        _text(folder / "annotations" / f"captions_{split}.json", [json.dumps(document)])


def _thing(placed: Placed, width: int, height: int) -> Thing:
    x0, y0, x1, y1 = placed.box
    area = (x1 - x0) * (y1 - y0) / (width * height)
    return Thing(placed.species.family, placed.colour, area, (x0 + x1) / 2 / width, (y0 + y1) / 2 / height)


def _letters(number: int) -> str:
    """A name for a species: 0 -> "A", 26 -> "BA"."""
    name = ""
    while True:
        number, digit = divmod(number, 26)
        name = chr(ord("A") + digit) + name
        if not number:
            return name


def _save(path: Path, pixels: Pixels) -> None:
    written, data = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert written, path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.tobytes())


def _text(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
