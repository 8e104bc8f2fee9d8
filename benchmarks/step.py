"""What a training step costs: `python -m benchmarks.step [--device auto] [--data-root FOLDER] [--out FILE]`.

One network, one batch size, several ways, in interleaved rounds; use the ratios, they come from the same seconds.
- ours, synthetic: the loop's own step (`core.training.trainee`) with `pretrain.objective` and CutMix, from one uint8
  batch that lies on the device: normalising, mixing, network, loss, backward, SGD, the look at the losses.
- timm, synthetic: a loop as timm's train.py has it (autocast, cross entropy, SGD, a look every 50 steps), from one
  normalised float32 batch on the device, in channels-last memory as well.
- the objective alone with each mixing, on a network that is next to nothing: what a mixing adds to a step.
- with --data-root (a folder with imagenet/train/CLASS/...): ours and timm's with their loaders, each by itself.
On CUDA also: FLOPs and activation bytes of an image, what this card's own speed at both allows (the roofline), and with
--profile a table of the kernels. Without CUDA a small network stands in, and the numbers say nothing of a GPU.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from lightning_fabric import Fabric
from timm.data.dataset_factory import create_dataset
from timm.data.loader import create_loader
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]  # its __init__ does not say so
from torch import Tensor, nn

from benchmarks.quick import machine
from benchmarks.roofline import roofline, wait
from core import backbone
from core.backbone import IMAGENET_MEAN, IMAGENET_STD
from core.data.imagenet import ImageNet
from core.data.records import Need
from core.loader import on_device, train_stream
from core.mixing import Mixing
from core.recipe import SGD, Recipe
from core.run import open_run
from core.stage import Job, Stage
from core.training.row import Row
from core.training.trainee import Trainee
from pretrain.augmentation import RandomResizedCrop
from pretrain.mixing.cutmix import CutMix
from pretrain.mixing.cutout import Cutout
from pretrain.mixing.has import HaS
from pretrain.mixing.mixup import Mixup
from pretrain.mixing.none import NoMixing
from pretrain.objective import Objective
from pretrain.samples import Batch, TrainSamples, collate

CLASSES = 1000
MIXINGS: tuple[Mixing, ...] = (Mixup(), Cutout(), CutMix(), HaS())
FOR_EVER = 10**9  # steps of a schedule that the benchmark does not reach the end of


@dataclass(frozen=True, kw_only=True)
class Bench(Stage):
    """A stage that reads no data."""

    def needs(self) -> tuple[Need, ...]:
        return ()

    def images(self, count: Callable[[Need], int]) -> int:
        return 0


def main() -> None:
    """Measure, print, and write JSON where asked."""
    args = arguments()
    fabric = Fabric(accelerator=args.device, devices=1, precision=args.precision)
    fabric.launch()
    found: dict[str, Any] = {"machine": machine(), "torch": torch.__version__, "timm": timm.__version__}
    torch.backends.cudnn.benchmark = fabric.device.type == "cuda"  # for both: as pretrain and timm's train.py do
    found["device"] = torch.cuda.get_device_name() if fabric.device.type == "cuda" else fabric.device.type
    found["settings"] = {name: str(value) for name, value in vars(args).items() if name not in ("out", "profile")}
    with tempfile.TemporaryDirectory() as folder:
        ours = our_step(args, fabric, Path(folder) / "ours")
        found["images_per_second"] = per_second(args, fabric, {"ours": ours, "timm": timm_step(args, fabric)})
        found["mixing"] = mixing_cost(args, fabric, Path(folder), found["images_per_second"]["ours"])
        if args.data_root:
            found["real"] = real_input(args, fabric, Path(folder) / "real")
            found["real"]["ours_share_of_synthetic"] = found["real"]["ours"] / found["images_per_second"]["ours"]
        if fabric.device.type == "cuda":
            found["roofline"] = roofline(network(args), args.image_size, fabric.device)
        text = json.dumps(found, indent=1)
        print(text)
        if args.out:
            args.out.write_text(text + "\n")
        if args.profile and fabric.device.type == "cuda":
            args.profile.write_text(profile(ours))


def arguments() -> argparse.Namespace:
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--network", default="timm:resnet50" if cuda else "timm:test_resnet")
    parser.add_argument("--image-size", type=int, default=224 if cuda else 64)
    parser.add_argument("--batch-size", type=int, default=256 if cuda else 32)
    precisions = ["bf16-mixed", "32-true"]  # timm's loop has no loss scale here
    parser.add_argument("--precision", default=precisions[0] if cuda else precisions[1], choices=precisions)
    parser.add_argument("--compile", action="store_true", help="torch.compile, for ours and timm's alike")
    parser.add_argument("--steps", type=int, default=50 if cuda else 4, help="steps of a turn")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--workers", type=int, default=16 if cuda else 1)
    parser.add_argument("--real-steps", type=int, default=300 if cuda else 20)
    parser.add_argument("--profile", type=Path, help="write torch's table of kernels to this file (CUDA)")
    parser.add_argument("--out", type=Path, help="write the numbers to this JSON file")
    return parser.parse_args()


# Ours


def synthetic(args: argparse.Namespace, device: torch.device) -> Batch:
    """A batch as the loader makes it, on the device."""
    size = args.image_size
    pixels = torch.randint(256, (args.batch_size, size, size, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    return Batch(pixels.to(device), torch.randint(CLASSES, (args.batch_size,)).to(device), None)


def network(args: argparse.Namespace) -> nn.Module:
    """The network with fresh weights, channels-last."""
    spec = backbone.Spec(args.network, CLASSES, args.image_size)
    return backbone.build(spec).to(memory_format=torch.channels_last)


def trainee(args: argparse.Namespace, fabric: Fabric, folder: Path, mixing: Mixing, model: nn.Module) -> Trainee:
    """A row under way as the loop has it."""
    spec = backbone.Spec(args.network, CLASSES, args.image_size)
    sgd = SGD(lr=1e-3, momentum=0.9, weight_decay=1e-4, nesterov=True)
    recipe = Recipe(optimizer=sgd, batch_size=args.batch_size, steps=FOR_EVER)
    run = open_run(folder, {"digest": "benchmark"}, log_every=1e9)
    job = Job(run, folder, Bench(compile=args.compile), None, fabric, "benchmark")
    row = Row(job, model, Objective(mixing, spec), recipe, [{"params": list(model.parameters())}])
    made = Trainee(row, args.batch_size * FOR_EVER)
    made.model.train()
    return made


def our_step(args: argparse.Namespace, fabric: Fabric, folder: Path) -> Callable[[], None]:
    one = trainee(args, fabric, folder, CutMix(), network(args))
    batch = synthetic(args, fabric.device)

    def step() -> None:
        one.train_on(batch, 0, args.batch_size, last=True)
        one.show(0.0)

    return step


# timm's


def timm_step(args: argparse.Namespace, fabric: Fabric) -> Callable[[], None]:
    """The step of a loop like timm's train.py: what it does by default, with --channels-last and --amp."""
    device = fabric.device
    model = network(args).to(device).train()
    optimizer = create_optimizer_v2(model, "sgd", lr=1e-3, weight_decay=1e-4, momentum=0.9)
    forward = torch.compile(model, dynamic=False) if args.compile else model
    criterion = nn.CrossEntropyLoss().to(device)
    shape = (args.batch_size, 3, args.image_size, args.image_size)
    images = torch.randn(shape, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(CLASSES, (args.batch_size,), device=device)
    count = 0

    def step(images: Tensor = images, labels: Tensor = labels) -> None:
        nonlocal count
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=args.precision == "bf16-mixed"):
            loss = criterion(forward(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        count += 1
        if count % 50 == 0:
            loss.item()

    return step


# Time


def seconds(step: Callable[[], None], steps: int, device: torch.device) -> float:
    """Seconds of so many steps: of this process's CPU time where it computes, so that a busy machine matters less."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    wait(device)
    began = clock()
    for _ in range(steps):
        step()
    wait(device)
    return clock() - began


def per_second(args: argparse.Namespace, fabric: Fabric, ways: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Images per second of each way, the median of the rounds, and the median of the rounds' ratios."""
    for step in ways.values():
        seconds(step, 5, fabric.device)
    rounds = [
        {name: args.batch_size * args.steps / seconds(step, args.steps, fabric.device) for name, step in ways.items()}
        for _ in range(args.rounds)
    ]
    found = {name: statistics.median(turn[name] for turn in rounds) for name in ways}
    return {**found, "ours_to_timm": statistics.median(turn["ours"] / turn["timm"] for turn in rounds)}


class Next(nn.Module):
    """A network that is next to nothing, so that the rest of the step is seen."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(x[:, :, 0, 0])
        return logits


def mixing_cost(args: argparse.Namespace, fabric: Fabric, folder: Path, rate: float) -> dict[str, Any]:
    """What each mixing adds to a step without one: milliseconds, and the share of a step at `rate` images a second."""
    batch = synthetic(args, fabric.device)
    steps: dict[str, Callable[[], None]] = {}
    for mixing in (NoMixing(), *MIXINGS):
        one = trainee(replace_compile(args), fabric, folder / type(mixing).__name__, mixing, Next())
        steps[type(mixing).__name__] = stepping(one, batch)
    for step in steps.values():
        seconds(step, 5, fabric.device)
    count = max(args.steps, 10)
    rounds = [{n: seconds(s, count, fabric.device) / count for n, s in steps.items()} for _ in range(3 * args.rounds)]
    whole = args.batch_size / rate
    found: dict[str, Any] = {}
    for name in steps:
        extra = statistics.median(turn[name] - turn[NoMixing.__name__] for turn in rounds)
        alone = statistics.median(turn[name] for turn in rounds)
        found[name] = {"alone_ms": 1e3 * alone, "extra_ms": 1e3 * extra, "extra_share_of_step": extra / whole}
    return found


def replace_compile(args: argparse.Namespace) -> argparse.Namespace:
    """The same without torch.compile: the small network is not what is compiled in earnest."""
    return argparse.Namespace(**{**vars(args), "compile": False})


def stepping(one: Trainee, batch: Batch) -> Callable[[], None]:
    return lambda: one.train_on(batch, 0, len(batch.labels), last=True)


# Real input


def real_input(args: argparse.Namespace, fabric: Fabric, folder: Path) -> dict[str, float]:
    """Images per second from files on disk, ours and timm's, each with its own workers and augmentation."""
    images = ImageNet().records(args.data_root, "train")
    ours = rate(args, fabric, our_real(args, fabric, folder, images))
    timms = rate(args, fabric, timm_real(args, fabric))
    return {"ours": ours, "timm": timms, "ours_to_timm": ours / timms, "images": float(len(images))}


def rate(args: argparse.Namespace, fabric: Fabric, steps: Iterator[None]) -> float:
    """Images per second of an iteration over steps, after the first tenth."""
    for _ in range(max(2, args.real_steps // 10)):
        next(steps)
    wait(fabric.device)
    began = time.perf_counter()
    for _ in range(args.real_steps):
        next(steps)
    wait(fabric.device)
    return float(args.batch_size * args.real_steps / (time.perf_counter() - began))


def our_real(args: argparse.Namespace, fabric: Fabric, folder: Path, images: Any) -> Iterator[None]:
    one = trainee(args, fabric, folder, CutMix(), network(args))
    samples = TrainSamples(images, RandomResizedCrop(), args.image_size)
    stream = train_stream(
        samples, collate, seed=0, batch_size=args.batch_size, steps_per_epoch=max(1, len(images) // args.batch_size),
        first=0, last=FOR_EVER, workers=args.workers,
    )  # fmt: skip
    for batch in on_device(stream, fabric.device):
        one.train_on(fabric.to_device(batch), 0, args.batch_size, last=True)
        one.show(0.0)
        yield


def timm_real(args: argparse.Namespace, fabric: Fabric) -> Iterator[None]:
    step: Any = timm_step(args, fabric)
    cuda = fabric.device.type == "cuda"
    dataset = create_dataset("", str(args.data_root / "imagenet/train"), is_training=True)
    loader = create_loader(
        dataset, (3, args.image_size, args.image_size), args.batch_size, is_training=True, no_aug=False,
        color_jitter=0.0, interpolation="bilinear", mean=IMAGENET_MEAN, std=IMAGENET_STD, num_workers=args.workers,
        device=fabric.device, use_prefetcher=cuda, pin_memory=cuda,
    )  # fmt: skip
    while True:
        for images, labels in loader:
            step(images.to(fabric.device), labels.to(fabric.device))
            yield


def profile(step: Callable[[], None], steps: int = 10) -> str:
    """torch's table of the kernels of a few steps, the dearest first."""
    kinds = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=kinds) as taken:
        for _ in range(steps):
            step()
        torch.cuda.synchronize()
    return str(taken.key_averages().table(sort_by="device_time_total", row_limit=30))


if __name__ == "__main__":
    main()
