"""What mixing costs: `python -m benchmarks.mixing [--batch N] [--rounds N] [--step] [--out FILE]`.

One process, one thread, a batch in memory; CPU milliseconds, every group's entries in turn within each round, so that
the ratios hold on a busy machine. Beside ours stand torchvision's v2 transforms, timm's Mixup, kornia's (where it is
installed) and the plain forms of the papers' own code, written here from their formulas; and a copy of the batch.
A method's time is with drawing and with its labels, as each library gives them.

Everything is measured twice: with the allocator as it is, where each new batch is fresh pages from the kernel, and with
the settings of `launch/machine.py`, where freed memory is kept. With --step, a training step of ResNet-50 on the CPU,
and what share of it each mixing adds.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.transforms import v2

from benchmarks.quick import machine
from core import normalize_cpu
from core.backbone import IMAGENET_MEAN, IMAGENET_STD, Spec, build
from core.memory import keep_freed
from core.mixing import Blend, Mixing, mixed_targets
from core.normalize import normalize
from core.peers import take
from core.targets import Targets, soft_cross_entropy
from pretrain.mixing.chain import Chain
from pretrain.mixing.cutmix import CutMix
from pretrain.mixing.cutout import Cutout
from pretrain.mixing.has import HaS
from pretrain.mixing.mixup import Mixup
from pretrain.mixing.none import NoMixing
from pretrain.objective import Objective

CLASSES = 1000
SPEC = Spec("timm:resnet50", CLASSES, 224)
AIMS = {
    "cutmix: torchvision v2 / ours": 40,
    "cutmix: timm / ours": 20,
    "cutmix: index assignment / ours": 4,
    "mixup: torchvision v2 / ours": 4,
    "normalise + cutmix / copy": 1.5,
    "labels, N 64 / hard": 1.05,
}
"""Issue 4's: at least, for what is divided by ours; at most, for what ours is divided by."""
Calls = dict[str, Callable[[], Any]]


def main() -> None:
    """Measure and print; write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--step", action="store_true", help="a training step of ResNet-50 too (a minute)")
    parser.add_argument("--out", type=Path, help="write the numbers to this JSON file")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--keep-freed", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.keep_freed:
        keep_freed()
    if args.child:
        print(json.dumps(measured(args.batch, args.rounds, step=args.step)))
        return
    found: dict[str, Any] = {"machine": machine(), "batch": [args.batch, 3, 224, 224], "unit": "CPU ms, median"}
    found["versions"] = {name: metadata.version(name) for name in ("torch", "torchvision", "timm", "numba")}
    for name, options in (("allocator as it is", []), ("freed memory kept", ["--keep-freed"])):
        command = [sys.executable, "-m", "benchmarks.mixing", "--child", *options, *sys.argv[1:]]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        found[name] = json.loads(done.stdout.splitlines()[-1])
        show(name, found[name])
    found["aims"] = AIMS
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


def show(title: str, found: dict[str, Any]) -> None:
    """Print one measurement as lines."""
    print(f"\n{title}")
    for group, entries in found.items():
        for name, value in entries.items():
            aim = f"   (aim: {AIMS[name]})" if name in AIMS else ""
            print(f"{group:>15}  {name:42} {value:>10.3f}{aim}")


def measured(batch: int, rounds: int, *, step: bool) -> dict[str, Any]:
    """Every group, and the ratios that are aimed at."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (batch, 224, 224, 3), dtype=torch.uint8, generator=generator).permute(0, 3, 1, 2)
    labels = torch.randint(CLASSES, (batch,), generator=generator)
    cut, cut_ratios = compared(cutmix_calls(pixels, labels), rounds, by="ours, bytes in place")
    mix, mix_ratios = compared(mixup_calls(pixels, labels), rounds, by="ours, one pass with normalising")
    norm, norm_ratios = compared(normalise_calls(pixels), rounds, by="copy")
    found: dict[str, Any] = {"cutmix": cut, "mixup": mix, "normalise": norm, "others": others(pixels, labels, rounds)}
    aimed = {
        "cutmix: torchvision v2 / ours": cut_ratios["torchvision v2"],
        "cutmix: timm / ours": cut_ratios["timm, batch"],
        "cutmix: index assignment / ours": cut_ratios["index assignment"],
        "mixup: torchvision v2 / ours": mix_ratios["torchvision v2, with normalising"],
        "normalise + cutmix / copy": norm_ratios["ours with cutmix, memory at hand"],
    }
    for images in (64, 256):
        label, ratios = compared(label_calls(images), 4 * rounds, by="hard", repeats=40)
        found[f"labels {images}"] = label
        aimed[f"labels, N {images} / hard"] = ratios["ours"]
    found["ratios"] = {name: round(statistics.median(values), 3) for name, values in aimed.items()} | {
        "cutmix: index assignment / ours, floats": round(cut["index assignment"] / cut["ours, floats in place"], 2),
        "mixup: torchvision v2 / ours, floats": round(mix["torchvision v2"] / mix["ours, floats in place"], 2),
        "normalise + cutmix / copy, new memory": round(norm["ours with cutmix"] / norm["copy, new memory"], 2),
    }
    for i, name in ((0, "10th percentile"), (8, "90th percentile")):
        found[name] = {key: round(statistics.quantiles(values, n=10)[i], 3) for key, values in aimed.items()}
    if step:
        found["step"] = step_shares(rounds)
    return found


def compared(
    calls: Calls, rounds: int, *, by: str, repeats: int = 3
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Median CPU milliseconds of each call, and its ratio to `by` in each round."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()  # compiles, and touches its memory
    for round_ in range(rounds):
        for name, call in calls.items():
            torch.manual_seed(round_)
            np.random.seed(round_)  # noqa: NPY002  # the libraries' own randomness
            started = time.process_time()
            for _ in range(repeats):
                call()
            seconds[name].append((time.process_time() - started) / repeats)
    times = {name: round(1e3 * statistics.median(values), 4) for name, values in seconds.items()}
    ratios = {name: [a / b for a, b in zip(values, seconds[by], strict=True)] for name, values in seconds.items()}
    return times, ratios


def own(mixing: Mixing, x: Tensor, labels: Tensor, *, in_place: bool) -> Callable[[], Any]:
    """A method of ours with its draw and its labels; each call draws anew."""
    generator = torch.Generator().manual_seed(0)

    def call() -> tuple[Tensor, Targets]:
        draw = mixing.draw(x.shape, generator)
        mixed = mixing.mix_(x, draw, take) if in_place else mixing.mix(x, draw, take)
        return mixed, mixing.targets(Targets.of(labels), draw)

    return call


def cutmix_calls(pixels: Tensor, labels: Tensor) -> Calls:
    """CutMix: peers on float32 NCHW, as they are used; ours on bytes, where the step mixes, and on floats."""
    floats = pixels.float().contiguous()
    timm_mixup = import_module("timm.data.mixup").Mixup
    peers: Calls = {}
    try:
        kornia = import_module("kornia.augmentation").RandomCutMixV2(p=1.0)
        peers["kornia"] = lambda: kornia(floats, labels)
    except ImportError:
        pass
    torchvision = v2.CutMix(num_classes=CLASSES)
    timm = timm_mixup(mixup_alpha=0.0, cutmix_alpha=1.0, label_smoothing=0.0, num_classes=CLASSES)
    spare, bytes_ = floats.clone(), pixels.clone()

    def index_assignment() -> tuple[Tensor, Tensor, Tensor, float]:
        """One box by the formula, pasted by indexing on both sides."""
        height, width = spare.shape[-2:]
        partner = torch.randperm(len(spare))
        cut = math.sqrt(1.0 - np.random.beta(1.0, 1.0))  # noqa: NPY002
        y, x = np.random.randint(height), np.random.randint(width)  # noqa: NPY002
        rows = np.clip([y - int(height * cut) // 2, y + int(height * cut) // 2], 0, height)
        columns = np.clip([x - int(width * cut) // 2, x + int(width * cut) // 2], 0, width)
        place = (slice(None), slice(*rows), slice(*columns))
        spare[(slice(None), *place)] = spare[(partner, *place)]
        return spare, labels, labels[partner], 1 - float(np.ptp(rows) * np.ptp(columns)) / (height * width)

    return peers | {
        "torchvision v2": lambda: torchvision(floats, labels),
        "timm, batch": lambda: timm(spare, labels),
        "index assignment": index_assignment,
        "ours, floats in place": own(CutMix(), spare, labels, in_place=True),
        "ours, bytes, new tensor": own(CutMix(), bytes_, labels, in_place=False),
        "ours, bytes in place": own(CutMix(), bytes_, labels, in_place=True),
    }


def mixup_calls(pixels: Tensor, labels: Tensor) -> Calls:
    """Mixup on floats, and from bytes with the normalisation that goes before (torchvision) or along with it (ours)."""
    floats = pixels.float().contiguous()
    timm_mixup = import_module("timm.data.mixup").Mixup
    torchvision = v2.MixUp(num_classes=CLASSES)
    timm = timm_mixup(mixup_alpha=1.0, cutmix_alpha=0.0, label_smoothing=0.0, num_classes=CLASSES)
    spare = floats.clone()
    last = floats.contiguous(memory_format=torch.channels_last)
    planes = pixels.contiguous()
    before = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)])
    objective = step_input(Mixup(), pixels, labels)

    def formula() -> Tensor:
        lam, partner = np.random.beta(1.0, 1.0), torch.randperm(len(floats))  # noqa: NPY002
        return lam * floats + (1 - lam) * floats[partner, :]

    return {
        "torchvision v2": lambda: torchvision(floats, labels),
        "timm, batch": lambda: timm(spare, labels),
        "formula": formula,
        "ours, floats in place": own(Mixup(), last, labels, in_place=True),
        "torchvision v2, with normalising": lambda: torchvision(before(planes), labels),
        "ours, one pass with normalising": objective,
    }


def step_input(mixing: Mixing, pixels: Tensor, labels: Tensor) -> Callable[[], Any]:
    """What a training step does before the network: draw, normalise, mix, targets."""
    objective, generator = Objective(mixing, SPEC), torch.Generator().manual_seed(0)

    def call() -> tuple[Tensor, Targets]:
        placed = mixing.place(lambda _: pixels.shape, generator)
        return objective._images(pixels, None, list(placed)), mixed_targets(labels, placed)

    return call


def normalise_calls(pixels: Tensor) -> Calls:
    """Bytes to float32, with and without a method, beside a copy of the float32 batch; box of CutMix's mean area."""
    floats = normalize(pixels, IMAGENET_MEAN, IMAGENET_STD)
    target, planes = torch.empty_like(floats), pixels.contiguous()
    side = round(224 * math.sqrt(1 - 0.682))  # facts: the mean lambda at alpha 1 is .682
    box = (20, 30, 20 + side, 30 + side)
    partner = torch.randperm(len(pixels))
    plain = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)])
    bytes_, out = pixels.permute(0, 2, 3, 1).numpy(), target.permute(0, 2, 3, 1).numpy()
    factors = (np.ones(3, np.float32), np.ones(3, np.float32))
    return {
        "copy": lambda: target.copy_(floats),
        "copy, new memory": floats.clone,
        "torchvision v2": lambda: plain(planes),
        "ours, memory at hand": lambda: normalize_cpu.run(bytes_, out, factors, None, None),
        "ours with cutmix, memory at hand": lambda: normalize_cpu.run(
            bytes_, out, factors, None, (partner.numpy(), 0.0, box)
        ),
        "ours": lambda: normalize(pixels, IMAGENET_MEAN, IMAGENET_STD),
        "ours with cutmix": lambda: normalize(pixels, IMAGENET_MEAN, IMAGENET_STD, None, Blend(partner, 0.0, box)),
        "ours with mixup": lambda: normalize(pixels, IMAGENET_MEAN, IMAGENET_STD, None, Blend(partner, 0.3, None)),
    }


def others(pixels: Tensor, labels: Tensor, rounds: int) -> dict[str, float]:
    """Milliseconds that each input mixing adds to what a step does before the network without one."""
    methods = {type(m).__name__: m for m in (NoMixing(), Mixup(), Cutout(), CutMix(), HaS(), Chain())}
    erasing = v2.RandomErasing(p=1.0, scale=(0.25, 0.25), ratio=(1.0, 1.0))
    floats = pixels.float().contiguous()
    calls: Calls = {name: step_input(mixing, pixels, labels) for name, mixing in methods.items()}
    calls["RandomErasing, torchvision v2, each image"] = lambda: [erasing(image) for image in floats]
    times, _ = compared(calls, rounds, by="NoMixing")
    plain = times["NoMixing"]
    return {
        (f"{name} adds" if name in methods and name != "NoMixing" else name): round(
            ms - plain if name in methods and name != "NoMixing" else ms, 3
        )
        for name, ms in times.items()
    }


def label_calls(images: int) -> Calls:
    """Forward and backward of the label loss at 1000 classes."""
    logits = torch.randn(images, CLASSES, requires_grad=True)
    a, b = torch.randint(CLASSES, (2, images))
    targets = Targets(((a, 0.3), (b, 0.7)))

    def timed(loss: Callable[[], Tensor]) -> Callable[[], None]:
        def call() -> None:
            logits.grad = None
            torch.autograd.backward(loss())

        return call

    def dense() -> Tensor:
        mixed = 0.3 * functional.one_hot(a, CLASSES).float() + 0.7 * functional.one_hot(b, CLASSES).float()
        return functional.cross_entropy(logits, mixed)

    def twice() -> Tensor:
        return 0.3 * functional.cross_entropy(logits, a) + 0.7 * functional.cross_entropy(logits, b)

    return {
        "hard": timed(lambda: functional.cross_entropy(logits, a)),
        "dense one-hot": timed(dense),
        "two cross-entropies": timed(twice),
        "ours": timed(lambda: soft_cross_entropy(logits, targets)),
        "ours, smoothed": timed(lambda: soft_cross_entropy(logits, targets, 0.1)),
        "hard, smoothed": timed(lambda: functional.cross_entropy(logits, a, label_smoothing=0.1)),
    }


def step_shares(rounds: int) -> dict[str, float]:
    """A step of ResNet-50 on 8 images, in ms, and the percentage that each mixing's extra work is of it."""
    images = 8
    pixels = torch.randint(0, 256, (images, 224, 224, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    labels = torch.arange(images)
    model: nn.Module = build(SPEC).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    objective = Objective(NoMixing(), SPEC)

    def step() -> None:
        loss, _ = objective(model, (pixels, labels), torch.Generator())
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad()

    times, _ = compared({"step": step}, 3, by="step", repeats=1)
    extra = others(pixels, labels, 4 * rounds)
    shares = {f"{name}, % of it": round(100 * extra[name] / times["step"], 3) for name in extra if "adds" in name}
    return {"ResNet-50, 8 images, ms": times["step"], **shares}


if __name__ == "__main__":
    main()
