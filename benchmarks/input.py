"""How fast images come in: `python -m benchmarks.input --photographs FOLDER [--ffcv-python PATH] [--out FILE]`.

Photographs are made into 500 x 375 JPEGs of quality 90, read as torchvision's ImageFolder reads them, by a bare decode,
and by ours: from the plain folder, from lossless shards, from shards of short side 384 and quality 90; each as random
crops of 224 pixels, flipped, in batches of 64, by one worker process. Then four rows (none, Mixup, Cutout, CutMix) from
one decode, against ImageFolder, DataLoader and v2.CutMix. What counts is the CPU time of worker and training process
together. All take turns, a pass each, and a ratio is the median over the turns, since a busy machine slows whole turns.
--keep-freed tells malloc not to give memory back (as core.memory does), which spares the usual way its page faults.
"""

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import PIL
import simplejpeg  # type: ignore[import-untyped, unused-ignore]
import torch
import torchvision
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from core.backbone import Spec
from core.config import CHECKOUT
from core.data.imagenet import ImageNet
from core.data.packed import Packed, Preparation
from core.data.records import DataSet, ImageRecord
from core.loader import train_stream
from pretrain.augmentation import RandomResizedCrop
from pretrain.mixing.cutmix import CutMix
from pretrain.mixing.cutout import Cutout
from pretrain.mixing.mixup import Mixup
from pretrain.mixing.none import NoMixing
from pretrain.objective import Objective
from pretrain.samples import Batch, TrainSamples, collate

SIDE, BATCH, CLASSES = 224, 64, 1000
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PREPARATION = Preparation(short_side=384, quality=90)
AIMS = {
    "plain folder / ImageFolder": 2.0,
    "lossless shards / ImageFolder": 3.5,
    "lossless shards / bare decode": 1.0,
    "384 px shards / ImageFolder": 7.0,
    "384 px shards / FFCV": 2.0,
    "4 rows, plain folder / ImageFolder + CutMix": 10.0,
    "4 rows, 384 px shards / ImageFolder + CutMix": 20.0,
}
"""Ratio of images (or method-images) per CPU-second -> what is aimed at."""
MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "-1", "MALLOC_TOP_PAD_": "268435456"}
"""What `core.memory.keep_freed` says, as variables, which reach every contestant's processes."""
Pass = Callable[[], float]
"""One pass over the images: the CPU seconds of an image (or method-image)."""


def main() -> None:
    """Measure and print; write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photographs", type=Path, required=True, help="a folder of JPEGs, with all below it")
    parser.add_argument("--images", type=int, default=256, help="how many of them (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=9, help="turns (default: %(default)s)")
    parser.add_argument("--ffcv-python", type=Path, help="a Python with ffcv, torch and torchvision")
    parser.add_argument("--workers", type=int, default=1, help="processes that load, of each way (default: 1)")
    parser.add_argument("--keep-freed", action="store_true", help="tell malloc to keep freed memory")
    parser.add_argument("--out", type=Path, help="add the numbers to this JSON file")
    args = parser.parse_args()
    if args.keep_freed and any(os.environ.get(name) != value for name, value in MALLOC.items()):
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.input", *sys.argv[1:]], {**os.environ, **MALLOC})
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        made = photographs(args.photographs, root / "imagenet" / "train", args.images)
        print(f"{made} images of 500 x 375 pixels, {args.repeats} turns")
        passes = contestants(root, packed(root, None), packed(root, PREPARATION), args.workers)
        with ffcv(args.ffcv_python, root) as peer:
            found = measured({**passes, **peer}, args.repeats)
    for line in report(found):
        print(line)
    if args.out:
        versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "pillow": PIL.__version__}
        versions |= {"python": platform.python_version(), "images": made, "turns": args.repeats}
        kept = json.loads(args.out.read_text()) if args.out.exists() else {}
        way = "freed memory kept" if args.keep_freed else "allocator as it is"
        kept[f"workers {args.workers}, {way}"] = {**versions, **found}
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(kept, indent=1) + "\n")


def photographs(source: Path, folder: Path, count: int) -> int:
    """Write `count` photographs as 500 x 375 JPEGs of quality 90 into two class folders. Returns how many there are."""
    wide = (path for path in sorted(source.rglob("*.jpg")) if max(Image.open(path).size) >= 480)
    written = 0
    for written, path in zip(range(1, count + 1), wide, strict=False):
        image = ImageOps.fit(Image.open(path).convert("RGB"), (500, 375), Image.Resampling.LANCZOS)
        to = folder / f"n0000000{written % 2}" / f"{written:05d}.JPEG"
        to.parent.mkdir(parents=True, exist_ok=True)
        image.save(to, quality=90)
    if written < BATCH:
        raise SystemExit(f"{source}: {written} JPEGs of 480 pixels or more; expected {BATCH} at least")
    return written


def packed(root: Path, preparation: Preparation | None) -> Packed:
    """The set in shards, by the command that a user would type."""
    folder = root / ("lossless" if preparation is None else "small")
    more = [] if preparation is None else ["--short-side", "384", "--quality", "90"]
    command = ["-m", "core.data.prepare", "core.data.imagenet:ImageNet", "--data-root", str(root), "--out", str(folder)]
    subprocess.run([sys.executable, *command, "--splits", "train", *more], cwd=CHECKOUT, check=True)
    return Packed(ImageNet(), folder, preparation)


def contestants(root: Path, lossless: Packed, small: Packed, workers: int) -> dict[str, Pass]:
    """What is measured in this process and its workers."""
    files = sorted((root / "imagenet" / "train").rglob("*.JPEG"))
    images = len(files)
    return {
        "ImageFolder": Watched(lambda: usual(root, workers, None), images),
        "bare decode": Watched(lambda: bare(files), images),
        "plain folder": Watched(lambda: single(ImageNet(), root, workers), images),
        "lossless shards": Watched(lambda: single(lossless, root, workers), images),
        "384 px shards": Watched(lambda: single(small, root, workers), images),
        "ImageFolder + CutMix": Watched(lambda: usual(root, workers, v2.CutMix(num_classes=CLASSES)), images),
        "4 rows, plain folder": Watched(lambda: four_rows(ImageNet(), root, workers), 4 * images),
        "4 rows, 384 px shards": Watched(lambda: four_rows(small, root, workers), 4 * images),
    }


class Watched:
    """An endless stream of images, a pass at a time, and what its processes spend on it."""

    def __init__(self, start: Callable[[], Iterator[int]], images: int) -> None:
        """start: the stream, as the number of images of each batch. images: of a pass."""
        others = {child.pid for child in multiprocessing.active_children()}
        self.batches, self.images = start(), images
        next(self.batches)
        self.workers = [child.pid for child in multiprocessing.active_children() if child.pid not in others]
        self.spent = self._spent()

    def __call__(self) -> float:
        """CPU seconds of an image, over a pass. Workers go on between passes, so theirs count from end to end."""
        began, seen = time.process_time(), 0
        while seen < self.images:
            seen += next(self.batches)
        here, before = time.process_time() - began, self.spent
        self.spent = self._spent()
        return (here + self.spent - before) / seen

    def _spent(self) -> float:
        ticks = 0
        for worker in self.workers:
            fields = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])  # in user and in system mode
        return ticks / os.sysconf("SC_CLK_TCK")


def usual(root: Path, workers: int, mix: Callable[..., Any] | None) -> Iterator[int]:
    """What people run: ImageFolder, PIL, version 1 of the transforms, float batches; and v2.CutMix where asked."""
    change = transforms.Compose(
        [transforms.RandomResizedCrop(SIDE), transforms.RandomHorizontalFlip(), transforms.ToTensor(),
         transforms.Normalize(MEAN, STD)]
    )  # fmt: skip
    folder = ImageFolder(str(root / "imagenet" / "train"), change)
    loader = DataLoader(folder, BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
    while True:
        for images, labels in loader:
            if mix is not None:
                mix(images, labels)
            yield len(labels)


def bare(files: list[Path]) -> Iterator[int]:
    """The files decoded, and no more."""
    while True:
        for path in files:
            simplejpeg.decode_jpeg(path.read_bytes())
            yield 1


def stream(data: DataSet[ImageRecord], root: Path, workers: int) -> Iterator[Batch]:
    """Our crops in uint8 batches: one stream, as long as a training."""
    crops = TrainSamples(data.records(root, "train"), RandomResizedCrop(), SIDE)
    steps = -(-len(crops) // BATCH)
    return train_stream(
        crops, collate, seed=0, batch_size=BATCH, steps_per_epoch=steps, first=0, last=10**6, workers=workers
    )


def single(data: DataSet[ImageRecord], root: Path, workers: int) -> Iterator[int]:
    """The images of our stream."""
    for batch in stream(data, root, workers):
        yield len(batch.labels)


def four_rows(data: DataSet[ImageRecord], root: Path, workers: int) -> Iterator[int]:
    """The method-images of four rows that share our stream, up to the loss of the mixed labels."""
    spec = Spec("timm:resnet50", CLASSES, SIDE)
    head, generator = Head(), torch.Generator().manual_seed(0)
    objectives = [Objective(mixing, spec) for mixing in (NoMixing(), Mixup(), Cutout(), CutMix())]
    for batch in stream(data, root, workers):
        for objective in objectives:
            objective(head, batch, generator)
        yield len(objectives) * len(batch.labels)


class Head(nn.Module):
    """Next to nothing: what the input costs is measured, not a network."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, S, S] -> [N, K]."""
        logits: Tensor = self.fc(images[:, :, 0, 0])
        return logits


@contextmanager
def ffcv(python: Path | None, root: Path) -> Iterator[dict[str, Pass]]:
    """FFCV in a process of its own, or nothing."""
    if python is None:
        yield {}
        return
    script = [str(python), str(CHECKOUT / "benchmarks" / "ffcv_peer.py")]
    arguments = [str(root / "imagenet" / "train"), str(root / "images.beton")]
    with subprocess.Popen([*script, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        inward, outward = child.stdin, child.stdout
        while "ready" not in (line := outward.readline()):
            if not line:
                raise SystemExit("ffcv: its process ended; what it said stands above")

        def one_pass() -> float:
            inward.write("\n")
            inward.flush()
            return float(outward.readline())

        yield {"FFCV": one_pass}


def measured(passes: dict[str, Pass], repeats: int) -> dict[str, Any]:
    """Images per CPU-second of each, and the ratios, over `repeats` turns after one that only warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    for turn in range(repeats + 1):
        for name, one_pass in passes.items():
            time.sleep(0.2)  # for other ways' workers to fill up
            value = one_pass()
            if turn:
                seconds[name].append(value)
    rates = {name: round(1 / statistics.median(values), 1) for name, values in seconds.items()}
    ratios = {}
    for name, aim in AIMS.items():
        ours, theirs = name.split(" / ")
        if ours in seconds and theirs in seconds:
            each = [b / a for a, b in zip(seconds[ours], seconds[theirs], strict=True)]
            ratios[name] = {"ratio": round(statistics.median(each), 2), "aim": aim}
    return {"images per CPU-second": rates, "ratios": ratios}


def report(found: dict[str, Any]) -> Iterator[str]:
    """The numbers as lines."""
    for name, rate in found["images per CPU-second"].items():
        yield f"{name:28} {rate:8.1f} images per CPU-second"
    for name, value in found["ratios"].items():
        yield f"{name:48} {value['ratio']:6.2f} (aim {value['aim']:g})"


if __name__ == "__main__":
    main()
