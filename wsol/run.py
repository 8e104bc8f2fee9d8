"""Run one localization cell: every image once, in batches; memory grows by a few hundred bytes an image.

boxes.json holds for each image {"id", "label", "predicted", "box", "threshold"}: `box` in pixels of the original image,
x0, y0, x1, y1, half-open. Top-1 error, top-1 Loc and GT-known Loc are computed from what it holds.

N images, T thresholds, S = the crop's side in pixels.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from core import atomic, backbone
from core.data.images import read_rgb
from core.data.records import ImageRecord
from core.errors import UserError
from core.images import normalize, to_tensor
from core.loop import predict
from core.stage import Job, Metric, Outcome
from eval.localization_old import best_ious, best_thresholds, box_iou, largest_box
from wsol.geometry import Box
from wsol.stage import Localize

_log = logging.getLogger(__name__)
_IOU = 0.5  # must be exceeded; the paper's


@dataclass(frozen=True)
class _Samples:
    """The crops of a split's images, with the index and the original size."""

    config: Localize
    records: Sequence[ImageRecord]

    def __len__(self) -> int:
        return len(self.records)

    def sample(self, index: int) -> tuple[Tensor, int, tuple[int, int]]:
        record = self.records[index]
        image = read_rgb(record.path)
        return to_tensor(self.config.geometry.prepare(image)), index, record.size or image.size


@dataclass(frozen=True)
class Found:
    """What one image gave."""

    entry: dict[str, Any]
    """Its entry of boxes.json."""
    best: np.ndarray
    """[T]: the best IoU of any component with any ground-truth box, at each threshold of MaxBoxAccV2."""


def execute(config: Localize, job: Job) -> Outcome:
    """Make the score maps, save boxes.json, and score."""
    if job.backbone is None:
        raise UserError("localization needs a classifier: --backbone RUN, FILE, timm:NAME or torchvision:NAME")
    records = config.data.records(job.root, config.split)
    _refuse_without_boxes(config, records)
    loaded = backbone.load(job.backbone, layer4_stride1=config.layer4_stride1)
    classes = len(config.data.classes(job.root))
    if loaded.spec.num_classes != classes:
        return _not_applicable(loaded.spec.num_classes, classes)
    localizer = _Localizer(config, job, records, loaded)
    found = predict(
        job, loaded.model, samples=_Samples(config, records), collate=_collate, batch_size=config.batch_size,
        step=localizer.step, phase="localize",
    )  # fmt: skip
    entries = [one.entry for one in found]
    atomic.write_json(job.run.path("boxes.json"), entries)
    return score(entries, records, np.stack([one.best for one in found]))


class _Localizer:
    """A network bound to its CAM."""

    def __init__(self, config: Localize, job: Job, records: Sequence[ImageRecord], loaded: backbone.Backbone) -> None:
        self.config, self.job, self.records, self.spec = config, job, records, loaded.spec
        network = loaded.model.to(job.fabric.device).to(memory_format=torch.channels_last).eval()
        self.explain = config.cam.bind(network)

    def step(self, _: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> list[Found]:
        """Pixels [N, 3, S, S] uint8, indices [N] and original sizes [N, 2] -> what was found."""
        pixels, indices, sizes = batch
        labels = torch.tensor([self.records[i].label for i in indices.tolist()], device=pixels.device)
        with self.job.fabric.autocast():
            maps = self.explain(normalize(pixels, self.spec.mean, self.spec.std), lambda _: labels)
        scores = upsample(maps.scores, self.config.geometry.crop).cpu().numpy()
        predicted = maps.logits.argmax(1).tolist()
        rows = zip(scores, indices.tolist(), predicted, sizes.tolist(), strict=True)
        return [self._found(score_map, self.records[i], guess, (w, h)) for score_map, i, guess, (w, h) in rows]

    def _found(self, score_map: np.ndarray, record: ImageRecord, predicted: int, size: tuple[int, int]) -> Found:
        if not np.isfinite(score_map).all():
            raise UserError(f"{record.id}: its score map holds NaN or infinity; are the backbone's weights finite?")
        geometry = self.config.geometry
        base = score_map - score_map.min() if self.config.subtract_minimum else score_map
        x0, y0, x1, y1 = largest_box(base, self.config.threshold).tolist()
        entry = {
            "id": record.id,
            "label": record.label,
            "predicted": predicted,
            "box": [round(value, 3) for value in geometry.to_image((x0, y0, x1, y1), size)],
            "threshold": self.config.threshold,
        }
        truth = np.array([geometry.to_crop(box, size) for box in record.boxes])
        return Found(entry, best_ious(score_map, truth))


def upsample(scores: Tensor, side: int) -> Tensor:
    """Score maps [N, h, w] -> [N, side, side], bilinear; the map's cells tile the image (corners not aligned)."""
    return functional.interpolate(scores[:, None], size=(side, side), mode="bilinear", align_corners=False)[:, 0]


def score(entries: Sequence[dict[str, Any]], records: Sequence[ImageRecord], best: np.ndarray) -> Outcome:
    """Score entries of boxes.json, in the order of ``records``, and best IoUs [N, T]."""
    right = np.array([entry["predicted"] == record.label for entry, record in zip(entries, records, strict=True)])
    ious = [_best_iou(entry["box"], record.boxes) for entry, record in zip(entries, records, strict=True)]
    hit = np.array(ious) > _IOU
    v2 = best_thresholds(best)
    metrics = {
        "top1_loc": 100.0 * float((hit & right).mean()),
        "gtknown_loc": 100.0 * float(hit.mean()),
        "maxboxacc_v2": v2.mean,
        "top1_error": 100.0 * float((~right).mean()),
    }
    more = {
        "maxboxacc_v2_per_iou": v2.per_iou,
        "maxboxacc_v2_thresholds": v2.thresholds,
        "mean_iou": float(np.mean(ious)),
    }
    return Outcome({name: Metric(value, "%", name != "top1_error") for name, value in metrics.items()}, more)


def _best_iou(box: Sequence[float], truth: Sequence[Box]) -> float:
    return float(box_iou(np.array([box]), np.array(truth)).max())


def _collate(samples: list[tuple[Tensor, int, tuple[int, int]]]) -> tuple[Tensor, Tensor, Tensor]:
    pixels, indices, sizes = zip(*samples, strict=True)
    return torch.stack(pixels), torch.tensor(indices), torch.tensor(sizes)


def _refuse_without_boxes(config: Localize, records: Sequence[ImageRecord]) -> None:
    bare = [record.id for record in records if not record.boxes]
    if bare:
        raise UserError(
            f"{config.data.name}, split {config.split!r}: expected at least one box for each image; "
            f"{len(bare)} of {len(records)} have none, the first is {bare[0]}.\nLayout:\n{config.data.layout.strip()}"
        )


def _not_applicable(head: int, classes: int) -> Outcome:
    """A backbone that does not classify these classes has no map of them: the table shows why."""
    reason = f"head of {head} classes, the data has {classes}" if head else "no head"
    _log.warning("not applicable: %s", reason)
    names = {"top1_loc": True, "gtknown_loc": True, "maxboxacc_v2": True, "top1_error": False}
    return Outcome({name: Metric(None, "%", higher) for name, higher in names.items()}, {"reason": reason})
