"""Build tiny data sets in the official layouts, for any room's tests. Nothing here uses the loaders under test."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

VocObject = tuple[str, tuple[float | str, float | str, float | str, float | str]]
"""Class name and (xmin, ymin, xmax, ymax) as they go into the file."""


def image(path: Path, size: tuple[int, int] = (48, 32), mode: str = "RGB", kind: str = "JPEG", seed: int = 0) -> Path:
    """A noise image of `size` (width, height)."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path, format=kind)
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def voc_object(name: str, corners: Sequence[float | str], difficult: str | None = "0", inside: str = "") -> str:
    """`inside` goes between the class name and the box, where the published files have some of their parts."""
    box = "".join(f"<{key}>{v}</{key}>" for key, v in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True))
    flag = "" if difficult is None else f"<difficult>{difficult}</difficult>"
    return f"<object><name>{name}</name>{flag}{inside}<bndbox>{box}</bndbox></object>"


def voc_xml(objects: Iterable[str], size: tuple[int, int] = (48, 32)) -> str:
    shape = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    return f"<annotation>{shape}{''.join(objects)}</annotation>"


def voc(
    root: Path,
    sets: Mapping[str, Sequence[str]],
    *,
    year: str = "2007",
    objects: Sequence[VocObject] = (("dog", (1, 1, 48, 32)),),
) -> Path:
    """VOCdevkit/VOC<year>: image set -> ids, every image with the same objects. Returns the year's folder."""
    base = root / "VOCdevkit" / f"VOC{year}"
    for name, ids in sets.items():
        write(base / "ImageSets" / "Main" / f"{name}.txt", "".join(f"{i}\n" for i in ids))
        for i in ids:
            image(base / "JPEGImages" / f"{i}.jpg")
            write(base / "Annotations" / f"{i}.xml", voc_xml(voc_object(*one) for one in objects))
    return base


def imagenet(root: Path, splits: Mapping[str, Mapping[str, int]], *, boxes: bool = False) -> Path:
    """imagenet/: split -> class folder -> number of images; `boxes`: wsolevaluation metadata of the val images,
    corners (4, 3, 40, 20) each. File names are unique over the classes. Returns the folder."""
    base = root / "imagenet"
    lines: dict[str, list[str]] = {"localization": [], "image_sizes": [], "class_labels": [], "image_ids": []}
    for split, classes in splits.items():
        number = 0
        for label, (wnid, count) in enumerate(sorted(classes.items())):
            (base / split / wnid).mkdir(parents=True)
            for i in range(count):
                number += 1
                name = f"ILSVRC2012_val_{number:08d}.JPEG" if split == "val" else f"{wnid}_{i}.JPEG"
                image(base / split / wnid / name, seed=number)
                if split == "val":
                    lines["localization"].append(f"val/{name},4,3,40,20")
                    lines["image_sizes"].append(f"val/{name},48,32")
                    lines["class_labels"].append(f"val/{name},{label}")
                    lines["image_ids"].append(f"val/{name}")
    if boxes:
        for name, content in lines.items():
            write(base / "localization" / f"{name}.txt", "\n".join(content) + "\n")
    return base


def cub(root: Path, *, classes: int = 2, per_class: int = 4) -> Path:
    """CUB_200_2011: images alternate between train (odd ids) and test; box x 3, y 2, width 30, height 20."""
    base = root / "CUB_200_2011"
    tables: dict[str, list[str]] = {}
    names = [f"{c:03d}.Bird_{c}" for c in range(1, classes + 1)]
    for i in range(1, classes * per_class + 1):
        class_id = 1 + (i - 1) // per_class
        file = f"{names[class_id - 1]}/Bird_{i:04d}.jpg"
        image(base / "images" / file, seed=i)
        tables.setdefault("images", []).append(f"{i} {file}")
        tables.setdefault("image_class_labels", []).append(f"{i} {class_id}")
        tables.setdefault("train_test_split", []).append(f"{i} {i % 2}")
        tables.setdefault("bounding_boxes", []).append(f"{i} 3.0 2.0 30.0 20.0")
    tables["classes"] = [f"{c} {name}" for c, name in enumerate(names, start=1)]
    for name, lines in tables.items():
        write(base / f"{name}.txt", "\n".join(lines) + "\n")
    return base


def coco(root: Path, *, split: str = "val2017", images: int = 3, captions: int = 2) -> Path:
    """coco/: images 10, 20, ... with captions. Returns the caption file."""
    ids = [10 * i for i in range(1, images + 1)]
    for i in ids:
        image(root / "coco" / split / f"{i:012d}.jpg", seed=i)
    content = {
        "images": [{"id": i, "file_name": f"{i:012d}.jpg", "width": 48, "height": 32} for i in ids],
        "annotations": [
            {"id": 1000 + i + c, "image_id": i, "caption": f"Caption {c} of image {i}."}
            for c in range(captions)
            for i in ids
        ],
    }
    return write(root / "coco" / "annotations" / f"captions_{split}.json", json.dumps(content))


def coco_boxes(root: Path, *, split: str = "val2017", images: int = 3) -> Path:
    """coco/: images 10, 20, ... with a box (1, 2, 30, 20) of category 7 each. Returns the instances file."""
    ids = [10 * i for i in range(1, images + 1)]
    for i in ids:
        image(root / "coco" / split / f"{i:012d}.jpg", seed=i)
    content = {
        "images": [{"id": i, "file_name": f"{i:012d}.jpg", "width": 48, "height": 32} for i in ids],
        "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}],
        "annotations": [{"id": i, "image_id": i, "category_id": 7, "bbox": [1, 2, 29, 18], "area": 522} for i in ids],
    }
    return write(root / "coco" / "annotations" / f"instances_{split}.json", json.dumps(content))


def karpathy(root: Path, splits: Mapping[str, int], *, coco: bool = True, captions: int = 2) -> Path:
    """dataset_coco.json with images in coco/val2014, or dataset_flickr8k.json with images in Flicker8k_Dataset: split
    -> number of images. imgid counts from 0, cocoid is 1000 less three times that. Returns the JSON file."""
    images: list[dict[str, object]] = []
    for split in [split for split, count in splits.items() for _ in range(count)]:
        i = len(images)
        name = f"COCO_val2014_{1000 - 3 * i:012d}.jpg" if coco else f"{i}_abc.jpg"
        image(root / ("coco/val2014" if coco else "Flicker8k_Dataset") / name, seed=i)
        sentences = [
            {"tokens": ["a", "b"], "raw": f"Caption {c} of {i}.", "imgid": i, "sentid": captions * i + c}
            for c in range(captions)
        ]
        own = {"filepath": "val2014", "cocoid": 1000 - 3 * i} if coco else {}
        sentids = [sentence["sentid"] for sentence in sentences]
        images.append({**own, "sentids": sentids, "filename": name, "imgid": i, "split": split, "sentences": sentences})
    name = "coco" if coco else "flickr8k"
    return write(root / f"dataset_{name}.json", json.dumps({"images": images, "dataset": name}))
