import math
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from core.resnet import trunk
from tests.transfer.detection_cases import backbone
from transfer.tasks.detection.multibox import corners, decode, default_boxes, encode, match
from transfer.tasks.ssd import SSD, Maps, map_sizes


def test_ssd300_on_resnet50_has_the_originals_maps_and_boxes(tmp_path: Path) -> None:
    """Liu et al., sec. 3.1: maps 38, 19, 10, 5, 3, 1 and 8732 default boxes an image."""
    model = SSD().model(backbone("resnet50"), tmp_path).eval()
    maps = model.backbone
    assert isinstance(maps, Maps)
    with torch.no_grad():
        found = list(maps(torch.zeros(1, 3, 300, 300)).values())
    assert [tuple(one.shape[2:]) for one in found] == [(s, s) for s in (38, 19, 10, 5, 3, 1)]
    assert [one.shape[1] for one in found] == maps.out_channels == [512, 1024, 2048, 512, 256, 256]
    boxes = 300 * corners(model.boxes)  # type: ignore[arg-type]
    assert boxes.shape == (8732, 4)
    # ssd.pytorch's priors in pixels: 30 and sqrt(30 * 60) for the squares at the first corner, 264 for the last map
    first, second = boxes[0], boxes[1]
    torch.testing.assert_close(first, torch.tensor([4 - 15, 4 - 15, 4 + 15, 4 + 15.0]), atol=1e-3, rtol=0)
    torch.testing.assert_close(second[2] - second[0], torch.tensor(1800.0).sqrt(), atol=1e-3, rtol=0)
    torch.testing.assert_close(boxes[-4], torch.tensor([18.0, 18.0, 282.0, 282.0]), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("side", "maps", "sizes"),
    [
        (300, 6, [38, 19, 10, 5, 3, 1]),
        (128, 5, [16, 8, 4, 2, 1]),
        (192, 6, [24, 12, 6, 3, 1]),
        (64, 4, [8, 4, 2, 1]),
        (160, 6, [20, 10, 5, 3, 1]),
    ],
)
def test_map_sizes_are_those_of_the_network(side: int, maps: int, sizes: list[int]) -> None:
    if len(sizes) < maps:
        with pytest.raises(ValueError, match="none is left to halve"):
            map_sizes(side, maps)
        return
    assert map_sizes(side, maps) == sizes
    body = trunk(backbone().model)
    network = Maps(body, side, (16,) * (maps - 3), None, norms=True).eval()
    with torch.no_grad():
        assert [one.shape[-1] for one in network(torch.zeros(1, 3, side, side)).values()] == sizes


def test_the_first_maps_vectors_have_the_learned_length() -> None:
    body = trunk(backbone().model)
    torch.manual_seed(0)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        first = next(iter(Maps(body, 64, (), 20.0, norms=False).eval()(images).values()))
        plain = next(iter(Maps(body, 64, (), None, norms=False).eval()(images).values()))
    torch.testing.assert_close(first.norm(dim=1), torch.full((1, 8, 8), 20.0))
    torch.testing.assert_close(first / 20 * plain.norm(dim=1, keepdim=True), plain)


def test_fields_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match=r"reads 5 maps .*'scales': 6"):
        SSD(extras=(64, 64))
    with pytest.raises(ValueError, match="40 pixels"):
        SSD(side=40)


class Stub(nn.Module):
    """A head that answers with given numbers."""

    def __init__(self, offsets: Tensor, logits: Tensor):
        super().__init__()
        self.offsets, self.logits = offsets, logits

    def forward(self, maps: list[Tensor]) -> dict[str, Tensor]:
        return {"bbox_regression": self.offsets, "cls_logits": self.logits}


SMALL = SSD(side=96, extras=(32,), scales=(0.2, 0.4, 0.6, 0.8, 1.0), ratios=((2,),) * 4, steps=None)


def _boxes_of_the_original() -> Tensor:
    """ssd.pytorch's 8732 boxes for VOC as its configuration has them, in pixels: centre and sides, cut at 300."""
    found = []
    sizes, steps = (38, 19, 10, 5, 3, 1), (8, 16, 32, 64, 100, 300)
    smallest, largest = (30, 60, 111, 162, 213, 264), (60, 111, 162, 213, 264, 315)
    for size, step, small, large, ratios in zip(sizes, steps, smallest, largest, SSD().ratios, strict=True):
        sides = [(small, small), (math.sqrt(small * large),) * 2]
        for ratio in ratios:
            wide, narrow = small * math.sqrt(ratio), small / math.sqrt(ratio)
            sides += [(wide, narrow), (narrow, wide)]
        for y, x in product(range(size), repeat=2):
            found += [((x + 0.5) * step, (y + 0.5) * step, w, h) for w, h in sides]
    centre = torch.tensor(found).clamp(max=300)  # centres too: the last of the 10 cells has its own at 304
    return torch.cat([centre[:, :2] - centre[:, 2:] / 2, centre[:, :2] + centre[:, 2:] / 2], 1)


def test_all_default_boxes_are_the_originals(tmp_path: Path) -> None:
    model = SSD().model(backbone("resnet18"), tmp_path).eval()
    boxes = 300 * corners(model.boxes)  # type: ignore[arg-type]
    torch.testing.assert_close(boxes, _boxes_of_the_original(), atol=1e-3, rtol=0)


def _iou(a: list[float], b: list[float]) -> float:
    width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    inside = max(width, 0) * max(height, 0)
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return inside / (sum(areas) - inside)


def _plain_losses(
    boxes: list[list[float]], offsets: Tensor, logits: Tensor, targets: list[dict[str, Tensor]]
) -> tuple[float, float]:
    """Liu et al., section 2.2, as ssd.pytorch computes it, one box at a time: location and confidence loss."""
    location = confidence = positives = 0.0
    for image, target in enumerate(targets):
        objects, labels = target["boxes"].tolist(), target["labels"].tolist()
        overlaps = [[_iou(one, box) for box in boxes] for one in objects]
        matched = [-1] * len(boxes)
        for i in range(len(boxes) if objects else 0):
            best = max(range(len(objects)), key=lambda j: overlaps[j][i])
            matched[i] = best if overlaps[best][i] >= 0.5 else -1
        for j, row in enumerate(overlaps):
            matched[row.index(max(row))] = j
        lost = []
        for i, j in enumerate(matched):
            label = labels[j] if j >= 0 else 0
            loss = float(-logits[image, i].double().log_softmax(0)[label])
            if j < 0:
                lost.append(loss)
                continue
            positives, confidence = positives + 1, confidence + loss
            (x0, y0, x1, y1), (a0, b0, a1, b1) = objects[j], boxes[i]
            wanted = (
                10 * ((x0 + x1) - (a0 + a1)) / 2 / (a1 - a0),
                10 * ((y0 + y1) - (b0 + b1)) / 2 / (b1 - b0),
                5 * math.log((x1 - x0) / (a1 - a0)),
                5 * math.log((y1 - y0) / (b1 - b0)),
            )
            for is_, should in zip(offsets[image, i].tolist(), wanted, strict=True):
                off = abs(is_ - should)
                location += off**2 / 2 if off < 1 else off - 0.5
        confidence += sum(sorted(lost, reverse=True)[: 3 * sum(j >= 0 for j in matched)])
    return location / max(positives, 1), confidence / max(positives, 1)


def test_ties_are_broken_as_in_the_original() -> None:
    """Of objects with the same best default box the last gets it; a box over .5 goes to the object it overlaps most.

    A default box without an object of its own stays background, and so do an image's boxes that has no objects.
    """
    boxes = torch.tensor([[0.0, 0.0, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9], [0.0, 0.0, 0.38, 0.4]])
    twins = [[0.1, 0.1, 0.2, 0.2]] * 2  # small: nothing is over .5; box 2 is the tighter
    far = [0.5, 0.5, 0.9, 0.8]
    none = [0.0] * 4
    objects = torch.tensor([[*twins, far], [[0.0, 0.0, 0.4, 0.4], none, none], [none] * 3])
    labels = torch.tensor([[5, 6, 7], [1, 0, 0], [0, 0, 0]])
    assert match(objects, labels, boxes).tolist() == [[-1, 2, 1], [0, -1, 0], [-1, -1, -1]]
    assert match(objects[:, :0], labels[:, :0], boxes).tolist() == [[-1] * 3] * 3


def test_offsets_are_undone_by_decoding() -> None:
    boxes = default_boxes(300, (3, 1), (0.3, 0.5, 0.8), ((2,), (2, 3)), None)
    assert len(boxes) == 9 * 4 + 6
    moved = corners(boxes) + torch.tensor([0.01, -0.02, 0.05, 0.03])
    torch.testing.assert_close(decode(encode(moved, boxes), boxes), moved)


def test_losses_are_the_papers(tmp_path: Path) -> None:
    """Matching (each object's best box, and every box over .5), 3 negatives for a positive, divided by positives."""
    model = SMALL.model(backbone(), tmp_path).train()
    images = [torch.zeros(3, 96, 96, dtype=torch.uint8)] * 3
    targets = [
        {"boxes": torch.tensor([[10.0, 20.0, 40.0, 60.0], [50.0, 50.0, 57.0, 56.0]]), "labels": torch.tensor([3, 7])},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
        {"boxes": torch.tensor([[0.0, 0.0, 90.0, 96.0]]), "labels": torch.tensor([20])},
    ]
    boxes = 96 * corners(model.boxes)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(3)
    offsets = torch.randn(3, len(boxes), 4, generator=generator)
    logits = 3 * torch.randn(3, len(boxes), 21, generator=generator)
    model.head = Stub(offsets, logits)
    found = model(images, targets)
    location, confidence = _plain_losses(boxes.tolist(), offsets, logits, targets)
    assert found["bbox_regression"].item() == pytest.approx(location, rel=1e-5)
    assert found["classification"].item() == pytest.approx(confidence, rel=1e-5)


class Asked(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the operations whose result's value or size the host must know: on a GPU each waits for the device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waits: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        masked = name == "index" and any(i is not None and i.dtype == torch.bool for i in args[1])
        if masked or name in ("_local_scalar_dense", "nonzero", "masked_select"):
            self.waits.append(name)
        return func(*args, **(kwargs or {}))


def test_a_training_step_does_not_wait_for_the_device(tmp_path: Path) -> None:
    model = SMALL.model(backbone(), tmp_path).train()
    images = [torch.zeros(3, 96, 96, dtype=torch.uint8)] * 2
    targets = [
        {"boxes": torch.tensor([[10.0, 20.0, 40.0, 60.0]]), "labels": torch.tensor([3])},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
    ]
    with Asked() as asked:
        torch.autograd.backward(sum(model(images, targets).values()))
    assert asked.waits == []
    with torch.no_grad(), asked:  # the test's suppression does: the list is not blind
        model.eval()(images)
    assert asked.waits


def test_detections_are_each_classes_best_without_their_like(tmp_path: Path) -> None:
    """Score over .01; the best `candidates` of a class; greedy suppression over .45 within it; nothing else is cut."""
    task = replace(SMALL, candidates=30, detections=10_000)
    model = task.model(backbone(), tmp_path).eval()
    boxes = 96 * corners(model.boxes)  # type: ignore[arg-type]
    logits = 2 * torch.randn(1, len(boxes), 21, generator=torch.Generator().manual_seed(1))
    model.head = Stub(torch.zeros(1, len(boxes), 4), logits)
    with torch.no_grad():
        (found,) = model([torch.zeros(3, 96, 96, dtype=torch.uint8)])
    scores, shown = logits[0].softmax(1), boxes.clamp(0, 96).tolist()
    expected = []
    for label in range(1, 21):
        order = sorted((i for i in range(len(boxes)) if scores[i, label] > 0.01), key=lambda i: -scores[i, label])
        kept: list[int] = []
        for i in order[:30]:
            if all(_iou(shown[i], shown[j]) <= 0.45 for j in kept):
                kept.append(i)
        expected += [(label, scores[i, label].item()) for i in kept]
    got = list(zip(found["labels"].tolist(), found["scores"].tolist(), strict=True))
    assert sorted(got) == sorted(expected)
    assert got == sorted(got, key=lambda one: -one[1])


def test_boxes_keep_their_bits_under_autocast(tmp_path: Path) -> None:
    model = replace(SMALL, first_scale=None).model(backbone(), tmp_path).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        (found,) = model([torch.randint(256, (3, 96, 96), dtype=torch.uint8)])
    assert found["boxes"].dtype == torch.float32
    assert (found["boxes"] != found["boxes"].bfloat16().float()).any()
