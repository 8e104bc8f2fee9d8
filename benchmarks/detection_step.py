"""What a detector's step costs: `python -m benchmarks.detection_step [--device cuda] [--arch resnet50] [--out FILE]`.

One backbone, one batch, ours beside torchvision's own detector, in interleaved rounds; use the ratios, they come from
the same seconds. A step is: network, losses, backward, SGD. Both get the images at their final size and freeze the same
parts; torchvision's gets floats in 0..1, as its references hand them over, and normalises and batches by itself, its
norms being FrozenBatchNorm2d where frozen. Inference is a batch without training, images/s beside it.
- fpn: torchvision's `BackboneWithFPN` and `FasterRCNN`, as in `fasterrcnn_resnet50_fpn`.
- c4: torchvision's `FasterRCNN` with layer4 as box head: it has no C4 of its own.
- ssd: torchvision's `SSD` on the same maps: its own is on VGG.
On a CPU the processor's time is taken (one thread: OMP_NUM_THREADS=1), which other work disturbs less than the clock.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FasterRCNN as TorchvisionFasterRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.ssd import SSD as TorchvisionSSD
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign

from benchmarks.quick import machine
from benchmarks.roofline import wait
from core.backbone import IMAGENET_MEAN, IMAGENET_STD, Backbone, Spec, build
from core.resnet import STAGES, Trunk, trunk
from transfer.tasks.detection.anchors import RATIOS
from transfer.tasks.detection.necks import C4, FPN, Layer3
from transfer.tasks.detection.task import Detection
from transfer.tasks.faster_rcnn import FasterRCNN
from transfer.tasks.ssd import SSD, Maps

CLASSES = 20
Targets = list[dict[str, Tensor]]


def main() -> None:
    """Measure, print, and write JSON where asked."""
    args = arguments()
    device = torch.device(args.device)
    found: dict[str, Any] = {"machine": machine(), "torch": torch.__version__, "settings": vars(args) | {"out": ""}}
    for name in args.models:
        found[name] = compared(*PAIRS[name](args), args, device)
        ours, theirs = found[name]["ours"], found[name]["torchvision"]
        ratios = {kind: f"{theirs[kind] / ours[kind]:.2f}" for kind in ours}
        print(f"{name}: ours {ours}, torchvision {theirs} (ms an image); torchvision / ours {ratios}", flush=True)
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--arch", default="resnet18", help="a timm ResNet")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--side", type=int, nargs=2, default=(224, 320), help="height, width of Faster R-CNN's images")
    parser.add_argument("--regions", type=int, default=128, help="proposals that count in an image's loss")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16, both")
    parser.add_argument("--models", nargs="+", default=["ssd", "fpn", "c4"], choices=["ssd", "fpn", "c4"])
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def compared(
    ours: nn.Module, theirs: nn.Module, sides: Sequence[int], args: argparse.Namespace, device: torch.device
) -> dict[str, dict[str, float]]:
    """Least milliseconds an image of training and inference, of both, in interleaved rounds: other work only adds."""
    images, targets = batch_of(args.batch, sides, device)
    floats = [image.float() / 255 for image in images]
    arms = {"ours": (ours.to(device), images), "torchvision": (theirs.to(device), floats)}
    times: dict[str, dict[str, list[float]]] = {name: {"train": [], "test": []} for name in arms}
    steps = {name: stepper(model, given, targets, bf16=args.bf16) for name, (model, given) in arms.items()}
    for turn in range(args.rounds + 1):
        for name in arms if turn % 2 else reversed(arms):
            for kind, step in steps[name].items():
                seconds = timed(step, device)
                if turn:  # the first warms up
                    times[name][kind].append(1000 * seconds / args.batch)
    return {name: {kind: round(min(all_), 2) for kind, all_ in kinds.items()} for name, kinds in times.items()}


def stepper(model: nn.Module, images: list[Tensor], targets: Targets, *, bf16: bool) -> dict[str, Callable[[], None]]:
    """One step of training, and one batch of inference."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 1e-4, momentum=0.9)

    def train() -> None:
        model.train()
        torch.manual_seed(0)
        with torch.autocast(images[0].device.type, torch.bfloat16, enabled=bf16):
            loss = torch.stack(list(model(images, targets).values())).sum()
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def test() -> None:
        model.eval()
        with torch.no_grad(), torch.autocast(images[0].device.type, torch.bfloat16, enabled=bf16):
            model(images)

    return {"train": train, "test": test}


def timed(step: Callable[[], None], device: torch.device) -> float:
    """Seconds of a step: on a CPU of this process's work, else of the clock."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    wait(device)
    began = clock()
    step()
    wait(device)
    return clock() - began


def batch_of(count: int, sides: Sequence[int], device: torch.device) -> tuple[list[Tensor], Targets]:
    """Noise with five boxes an image."""
    generator = torch.Generator().manual_seed(0)
    height, width = sides
    images = [torch.randint(256, (3, height, width), dtype=torch.uint8, generator=generator) for _ in range(count)]
    targets = []
    for _ in images:
        corner = torch.rand(5, 2, generator=generator) * torch.tensor([width, height]) / 2
        side = 20 + torch.rand(5, 2, generator=generator) * (torch.tensor([width, height]) / 2 - 20)
        labels = torch.randint(1, CLASSES + 1, (5,), generator=generator)
        targets.append({"boxes": torch.cat([corner, corner + side], 1).to(device), "labels": labels.to(device)})
    return [image.to(device) for image in images], targets


def pretrained(arch: str) -> Backbone:
    """A network with weights of chance; norms do the same work."""
    torch.manual_seed(0)
    spec = Spec(f"timm:{arch}", 1000, 224)
    return Backbone(spec, build(spec), "untrained")


def built(task: Detection, net: Backbone) -> nn.Module:
    """Ours, on a copy of the backbone."""
    return task.build(copy.deepcopy(net), CLASSES)


def frozen(body: Trunk, parts: int) -> Trunk:
    """torchvision's way: FrozenBatchNorm2d for every norm, the first parts without gradients."""
    for module in list(body.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                norm = FrozenBatchNorm2d(child.num_features, child.eps)
                norm.load_state_dict({k: v for k, v in child.state_dict().items() if k != "num_batches_tracked"})
                activation = getattr(child, "act", None)
                setattr(module, name, norm if activation is None else nn.Sequential(norm, activation))
    for part in (body.stem, *(getattr(body, stage) for stage in STAGES))[:parts]:
        part.requires_grad_(False)
    return body


def torchvision_settings(task: FasterRCNN, sides: Sequence[int]) -> dict[str, Any]:
    """The same numbers for torchvision's FasterRCNN."""
    return {
        "num_classes": CLASSES + 1,
        "min_size": min(sides),
        "max_size": max(sides),
        "box_batch_size_per_image": task.regions_per_image,
        "box_score_thresh": task.score_threshold,
    }


def fpn_pair(args: argparse.Namespace) -> tuple[nn.Module, nn.Module, Sequence[int]]:
    """Ours and torchvision's with a feature pyramid."""
    net, task = pretrained(args.arch), FasterRCNN(neck=FPN(), regions_per_image=args.regions, score_threshold=0.05)
    body = frozen(trunk(copy.deepcopy(net.model)), 2)
    network = nn.Sequential()
    for name in ("stem", *STAGES):
        network.add_module(name, getattr(body, name))
    maps = BackboneWithFPN(network, {stage: str(i) for i, stage in enumerate(STAGES)}, list(body.channels), 256)
    anchors = AnchorGenerator(tuple((s,) for s in (32, 64, 128, 256, 512)), (RATIOS,) * 5)
    peer = TorchvisionFasterRCNN(maps, rpn_anchor_generator=anchors, **torchvision_settings(task, args.side))
    return built(task, net), peer, args.side


def c4_pair(args: argparse.Namespace) -> tuple[nn.Module, nn.Module, Sequence[int]]:
    """Ours and torchvision's with layer4 on every region."""
    net, neck = pretrained(args.arch), C4()
    task = FasterRCNN(neck=neck, regions_per_image=args.regions, score_threshold=0.05)
    body = frozen(trunk(copy.deepcopy(net.model)), 2)
    settings = torchvision_settings(task, args.side) | {"num_classes": None}
    parts = neck.parts(body)
    peer = TorchvisionFasterRCNN(
        Layer3(body),
        rpn_anchor_generator=AnchorGenerator(parts.anchors.sizes, (RATIOS,)),
        box_roi_pool=MultiScaleRoIAlign(["0"], neck.roi_size, 2),
        box_head=parts.head,
        box_predictor=FastRCNNPredictor(parts.width, CLASSES + 1),
        **settings,
    )
    return built(task, net), peer, args.side


def ssd_pair(args: argparse.Namespace) -> tuple[nn.Module, nn.Module, Sequence[int]]:
    """Ours and torchvision's SSD300, norms trained."""
    net, task = pretrained(args.arch), SSD()
    body = trunk(copy.deepcopy(net.model))
    boxes = DefaultBoxGenerator([list(r) for r in task.ratios], scales=list(task.scales), steps=list(task.steps or ()))
    maps = Maps(body, task.side, task.extras, task.first_scale, norms=False)
    mean, std = list(IMAGENET_MEAN), list(IMAGENET_STD)
    peer = TorchvisionSSD(maps, boxes, (task.side, task.side), CLASSES + 1, image_mean=mean, image_std=std)
    return built(task, net), peer, (task.side, task.side)


PAIRS: dict[str, Callable[[argparse.Namespace], tuple[nn.Module, nn.Module, Sequence[int]]]] = {
    "ssd": ssd_pair,
    "fpn": fpn_pair,
    "c4": c4_pair,
}

if __name__ == "__main__":
    main()
