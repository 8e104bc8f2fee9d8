"""How fast a detector's images come in: `python -m benchmarks.detection_input --data-root FOLDER [--ssd-pytorch PATH]`.

VOC's training images, each decoded and augmented in this process on one core: for SSD300 by ours, by torchvision's v2
transforms, by ssd.pytorch's own file (numpy and OpenCV; PATH is a checkout); for Faster R-CNN (short side 600, flip)
by ours and by v2. And a bare decode of the whole file. All take turns over the same images, and a ratio is the median
over the turns, since a busy machine slows whole turns. Then what the training process itself spends on an image that a
worker made: ours, and with each tensor in a shared file of its own, as torch does it.
"""

import argparse
import importlib.util
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch
import torchvision
from torchvision import tv_tensors
from torchvision.io import decode_image
from torchvision.transforms import v2

from core.data.records import SceneRecord
from core.data.voc import VOC
from core.images import Originals
from core.loader import train_stream
from transfer.tasks.detection.augmentation import SSDAugmentation
from transfer.tasks.detection.data import FILL, Fit, Scenes, Square, collate, flip

Way = Callable[[int, int], object]
"""Index and seed to one sample."""


def main() -> None:
    """Measure and print; write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data-root", type=Path, required=True, help="a folder with VOCdevkit/VOC2007")
    parser.add_argument("--image-set", default="trainval", help="of VOC2007 (default: %(default)s)")
    parser.add_argument("--ssd-pytorch", type=Path, help="a checkout of amdegroot/ssd.pytorch")
    parser.add_argument("--images", type=int, default=100, help="in a turn (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=7, help="turns (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write the numbers to this JSON file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    records = VOC(train=(("2007", args.image_set),)).records(args.data_root, "train")
    found = measured(ways(records, args.ssd_pytorch), min(args.images, len(records)), args.repeats)
    found["training process, ms an image"] = {
        name: 1e3 * spent(data, batch, slots=slots)
        for name, data, batch, slots in (
            ("SSD300, batch 32, our slots", ssd(records), 32, True),
            ("SSD300, batch 32, torch's files", ssd(records), 32, False),
            ("Faster R-CNN, batch 8, our slots", faster_rcnn(records), 8, True),
            ("Faster R-CNN, batch 8, torch's files", faster_rcnn(records), 8, False),
        )
    }
    for title, numbers in found.items():
        print(title)
        for name, value in numbers.items():
            print(f"  {name:38}{value:10.3f}")
    if args.out:
        versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "opencv": cv2.__version__}
        versions |= {"python": platform.python_version(), "images": str(args.images), "turns": str(args.repeats)}
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps({**versions, **found}, indent=1) + "\n")


def ssd(records: Sequence[SceneRecord]) -> Scenes:
    """Ours, as the paper's SSD300 trains on them."""
    return Scenes(records, Square(300), SSDAugmentation())


def faster_rcnn(records: Sequence[SceneRecord]) -> Scenes:
    """Ours, as Faster R-CNN trains on them."""
    return Scenes(records, Fit(600, 1000), flip())


def ways(records: Sequence[SceneRecord], ssd_pytorch: Path | None) -> dict[str, Way]:
    """What is measured."""
    options = [0.1, 0.3, 0.7, 0.9, 0.0, 1.0]
    distort = [
        v2.RandomPhotometricDistort(), v2.RandomZoomOut(fill=list(FILL), side_range=(1.0, 4.0)),
        v2.RandomIoUCrop(sampler_options=options), v2.RandomHorizontalFlip(), v2.Resize([300, 300], antialias=True),
        v2.SanitizeBoundingBoxes(),
    ]  # fmt: skip
    fit = [v2.Resize(600, max_size=1000, antialias=True), v2.RandomHorizontalFlip()]
    originals = Originals([record.path for record in records], keep=False)
    found: dict[str, Way] = {
        "decode": lambda i, _: originals[i].whole(),
        "SSD300, ours": ssd(records).seeded_sample,
        "SSD300, torchvision v2": torchvisions(records, v2.Compose(distort)),
        "Faster R-CNN, ours": faster_rcnn(records).seeded_sample,
        "Faster R-CNN, torchvision v2": torchvisions(records, v2.Compose(fit)),
    }
    if ssd_pytorch is not None:
        found["SSD300, ssd.pytorch"] = ssd_pytorchs(records, ssd_pytorch)
    return found


def torchvisions(records: Sequence[SceneRecord], transform: v2.Transform) -> Way:
    """torchvision's decoder and transforms."""

    def sample(index: int, seed: int) -> Any:
        torch.manual_seed(seed)
        record = records[index]
        image = tv_tensors.Image(decode_image(str(record.path), "RGB"))
        size = (record.size[1], record.size[0])
        boxes = tv_tensors.BoundingBoxes(torch.tensor(record.boxes), format="XYXY", canvas_size=size)  # type: ignore[call-overload, unused-ignore]
        return transform({"image": image, "boxes": boxes, "labels": torch.tensor(record.labels)})

    return sample


def ssd_pytorchs(records: Sequence[SceneRecord], checkout: Path) -> Way:
    """The peer's own augmentation, loaded from its file; the annotation is parsed before, as ours is."""
    spec = importlib.util.spec_from_file_location("ssd_augmentations", checkout / "utils" / "augmentations.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"{checkout}: expected a checkout of ssd.pytorch")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    transform = module.SSDAugmentation(300, (104, 117, 123))
    for step in transform.augment.transforms:
        if hasattr(step, "sample_options"):  # today's numpy draws from no list of unequal entries
            options = np.empty(len(step.sample_options), object)
            options[:] = step.sample_options
            step.sample_options = options

    def sample(index: int, seed: int) -> Any:
        np.random.seed(seed)  # noqa: NPY002 - what the peer draws from
        record = records[index]
        image = cv2.imread(str(record.path))
        boxes = np.array(record.boxes) / np.array(record.size * 2)
        pixels, boxes, labels = transform(image, boxes, np.array(record.labels))
        return torch.from_numpy(pixels[:, :, (2, 1, 0)].copy()).permute(2, 0, 1), boxes, labels

    return sample


def measured(contestants: dict[str, Way], images: int, turns: int) -> dict[str, dict[str, float]]:
    """Images a CPU-second, and ours over the others."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(turns + 1):
        for name, way in contestants.items():
            began = time.process_time()
            for index in range(images):
                way(index, 1000 * turn + index)
            if turn:  # the first compiles and warms up
                times[name].append((time.process_time() - began) / images)
    speed = {name: 1 / statistics.median(values) for name, values in times.items()}
    ratios = {
        f"{name} / {ours.split(', ')[1]}": statistics.median(
            b / a for a, b in zip(times[ours], times[name], strict=True)
        )
        for ours in ("SSD300, ours", "Faster R-CNN, ours")
        for name in times
        if name not in (ours, "decode") and name.split(",")[0] == ours.split(",")[0]
    }
    return {"images a CPU-second, one core": speed, "time of one / time of the other": ratios}


def spent(data: Scenes, batch_size: int, *, slots: bool, batches: int = 12) -> float:
    """CPU seconds of the training process for an image that a worker made."""
    samples: Any = data if slots else _Unmeasured(data)
    steps = max(1, len(data) // batch_size)
    stream = train_stream(
        samples, collate, seed=0, batch_size=batch_size, steps_per_epoch=steps, first=0, last=10**6, workers=1
    )
    for _ in range(3):
        next(stream)
    began, seen = time.process_time(), 0
    for _ in range(batches):
        seen += len(next(stream).ids)
    return (time.process_time() - began) / seen


class _Unmeasured:
    """The same samples without a size that is known before: their batches travel as torch sends tensors."""

    def __init__(self, data: Scenes) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def seeded_sample(self, index: int, seed: int) -> Any:
        return self.data.seeded_sample(index, seed)


if __name__ == "__main__":
    main()
