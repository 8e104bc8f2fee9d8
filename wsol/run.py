"""Run one localization cell: every image once, in batches, through the evaluator that also stands alone.

What remains of the maps is kept on disk, a part for some 512 images, so that memory does not grow with their number
and a killed cell goes on after its last part. A map is looked at twice: with thresholds as fractions of its maximum for
the CutMix paper's numbers, and min-max scaled for MaxBoxAcc and MaxBoxAccV2, as their paper defines them.

boxes.json holds for each image {"id", "label", "ranked", "box", "threshold"}: `ranked` the predicted classes, best
first; `box` in pixels of the original image, x0, y0, x1, y1, half-open.

N images, S = the crop's side in pixels.
"""

import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from core import atomic, backbone
from core.data.records import ImageRecord
from core.errors import UserError
from core.images import normalize
from core.loop import predict
from core.run import PARTS
from core.stage import Job, Metric, Outcome
from eval.errors import EvalError
from eval.localization import version
from eval.localization.part import Part, examine
from eval.localization.report import Report, report
from eval.localization.settings import Settings
from eval.localization.trace import to_image
from eval.localization.truth import ScoreMap, Truth
from wsol.crops import Batch, Crops, collate, upsample
from wsol.stage import Localize

_log = logging.getLogger(__name__)
_PART = 512
_RANKED = 5
METRICS = {
    "top1_loc": True, "top5_loc": True, "gtknown_loc": True, "maxboxacc": True, "maxboxacc_v2": True,
    "top1_error": False,
}  # fmt: skip
"""What a cell's result holds, and whether higher is better."""


def execute(config: Localize, job: Job) -> Outcome:
    """Make the score maps, save what remains of them, score, save boxes.json."""
    if job.backbone is None:
        raise UserError("localization needs a classifier: --backbone RUN, FILE, timm:NAME or torchvision:NAME")
    records = config.data.records(job.root, config.split)
    _refuse_without_boxes(config, records)
    loaded = backbone.load(job.backbone, layer4_stride1=config.layer4_stride1)
    classes = len(config.data.classes(job.root))
    if loaded.spec.num_classes != classes:
        return _not_applicable(loaded.spec.num_classes, classes)
    finished = Finished(job.run.path(PARTS), config)
    localizer = _Localizer(config, job, loaded, finished, records[finished.images() :])
    predict(
        job, loaded.model, samples=Crops(records[finished.images() :], config.geometry), collate=collate,
        batch_size=config.batch_size, step=localizer.step, phase="localize",
    )  # fmt: skip
    localizer.flush()
    entries = finished.entries()
    atomic.write_json(job.run.path("boxes.json"), entries)
    return outcome(entries, finished.report(finished.paper), finished.report(finished.choe))


class Finished:
    """The parts of a cell that are on disk."""

    def __init__(self, folder: Path, config: Localize) -> None:
        """Parts of another version of the evaluator, and a damaged part and those after it, are made again."""
        self.folder = folder
        self.paper = Settings(threshold=config.threshold, scale="minmax" if config.subtract_minimum else "max")
        self.choe = Settings(threshold=config.threshold, scale="minmax")
        self.settings = tuple(dict.fromkeys((self.paper, self.choe)))
        made_by = folder / "code"
        if not (made_by.is_file() and made_by.read_text() == version.code()):
            shutil.rmtree(folder, ignore_errors=True)
            atomic.write_text(made_by, version.code())
        sound = self._sound()
        for path in folder.glob("[0-9]*"):
            if int(path.name.partition(".")[0]) >= sound:
                path.unlink()
        self.parts = sound

    def add(self, maps: Sequence[ScoreMap], truths: Sequence[Truth]) -> None:
        """Score some maps and write a part. EvalError names an image whose map holds NaN or infinity."""
        known = {truth.id: truth for truth in truths}
        parts = {settings: examine(maps, known, settings) for settings in self.settings}
        for settings, part in parts.items():
            part.save(self._path(self.parts, settings))
        entries = [
            {
                "id": score_map.id,
                "label": truth.label,
                "ranked": list(score_map.ranked or ()),
                "box": [round(value, 3) for value in box],
                "threshold": self.paper.threshold,
            }
            for score_map, truth, box in zip(maps, truths, _boxes(parts[self.paper], self.paper.threshold), strict=True)
        ]
        atomic.write_json(self._entries(self.parts), entries)  # the last of a part: it is finished
        self.parts += 1

    def images(self) -> int:
        """How many images are done: the first ones of the split."""
        return len(self.entries())

    def entries(self) -> list[dict[str, Any]]:
        """The entries of boxes.json, in the order of the split."""
        return [entry for number in range(self.parts) for entry in json.loads(self._entries(number).read_text())]

    def report(self, settings: Settings) -> Report:
        """The numbers by one of the two definitions."""
        return report(lambda: (Part.load(self._path(number, settings)) for number in range(self.parts)), settings)

    def _sound(self) -> int:
        """How many parts are whole, from the first."""
        number = 0
        while self._entries(number).is_file():
            try:
                ids = [entry["id"] for entry in json.loads(self._entries(number).read_text())]
                for settings in self.settings:
                    if list(Part.load(self._path(number, settings)).ids) != ids:
                        raise ValueError("another part's images")
            except (EvalError, ValueError, TypeError, KeyError) as error:
                _log.warning("%s: %s", self._entries(number), error)
                break
            number += 1
        return number

    def _entries(self, number: int) -> Path:
        return self.folder / f"{number:05}.json"

    def _path(self, number: int, settings: Settings) -> Path:
        return self.folder / f"{number:05}.{settings.scale}.npz"


class _Localizer:
    """A network bound to its CAM, and the maps of the part under way."""

    def __init__(
        self, config: Localize, job: Job, loaded: backbone.Backbone, finished: Finished, records: Sequence[ImageRecord]
    ) -> None:
        self.config, self.records, self.spec, self.finished = config, records, loaded.spec, finished
        # Whole batches, so that a run that goes on makes the batches of one that never stopped.
        self.full = -(-_PART // config.batch_size) * config.batch_size
        self.maps: list[ScoreMap] = []
        self.truths: list[Truth] = []
        network = loaded.model.to(job.fabric.device).to(memory_format=torch.channels_last).eval()
        self.explain = config.cam.bind(network)

    def step(self, _: nn.Module, batch: Batch) -> list[None]:
        """Keep the maps of a batch, write a part when there are enough."""
        records = [self.records[i] for i in batch.indices.tolist()]
        labels = torch.tensor([record.label for record in records], device=batch.pixels.device)
        maps = self.explain(normalize(batch.pixels, self.spec.mean, self.spec.std), lambda _: labels)
        scores = upsample(maps.scores, self.config.geometry.crop).cpu().numpy()
        ranked = maps.logits.topk(min(_RANKED, maps.logits.shape[1])).indices.tolist()
        places = zip(batch.windows.tolist(), batch.sizes.tolist(), strict=True)
        for score_map, record, classes, (window, (w, h)) in zip(scores, records, ranked, places, strict=True):
            self.maps.append(ScoreMap(record.id, score_map, tuple(window), classes))
            self.truths.append(Truth(record.id, (w, h), np.array(record.boxes, np.float64), record.label))
            if len(self.maps) == self.full:
                self.flush()
        return [None] * len(records)

    def flush(self) -> None:
        """Write what there is as a part."""
        if self.maps:
            self.finished.add(self.maps, self.truths)
            self.maps, self.truths = [], []


def outcome(entries: Sequence[dict[str, Any]], by_paper: Report, by_choe: Report) -> Outcome:
    """The metrics of entries of boxes.json and of the reports by both definitions."""
    paper, choe = by_paper.measures, by_choe.measures
    right = np.array([entry["ranked"][0] == entry["label"] for entry in entries])
    values = {
        "top1_loc": paper["top1_loc"].fixed.value,
        "top5_loc": paper["top5_loc"].fixed.value if "top5_loc" in paper else None,
        "gtknown_loc": paper["gt_known_loc"].fixed.value,
        "maxboxacc": choe["max_box_acc_50"].best.value,
        "maxboxacc_v2": choe["max_box_acc_v2"].best.value,
        "top1_error": 100.0 * float((~right).mean()),
    }
    return Outcome(
        {name: Metric(values[name], "%", higher) for name, higher in METRICS.items()},
        {"cutmix": by_paper.as_dict(), "choe": by_choe.as_dict()},
    )


def _boxes(part: Part, threshold: float) -> list[list[float]]:
    """The largest component's box of each image, in its pixels."""
    boxes = part.largest.boxes[part.largest.at(threshold)].astype(np.float64)
    return [
        to_image(box[None], (shape[0], shape[1]), tuple(window), (size[0], size[1]))[0].tolist()
        for box, shape, window, size in zip(boxes, part.shapes, part.windows, part.sizes, strict=True)
    ]


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
    return Outcome({name: Metric(None, "%", higher) for name, higher in METRICS.items()}, {"reason": reason})
