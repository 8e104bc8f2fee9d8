"""`python -m wsol extract CONFIG --backbone SOURCE --out FOLDER`: a classifier's score maps, float16, in shards.

The config is one of configs/wsol: its data, split, geometry, CAM and layer4's stride. OUT holds

- `shards/*.npz` and `settings.json` (`wsol.maps.shards`): each map with the window that it covers in pixels of the
  original image, that image's size, and the classifier's five best classes where its classes are the data's;
- with `--class topK` folders `top1` to `topK` of these, a map of each image for each of its K best classes;
- `metadata/`, where every image has boxes: so `python -m wsol evaluate OUT --metadata OUT/metadata` just works.

Values are the method's own, negative ones too, unless `--minmax` scales each map from its minimum (0) to its maximum
(1), as wsolevaluation does before it evaluates: `evaluate --geometry compat` takes such maps only, and MaxBoxAcc and
MaxBoxAccV2 are defined on them (for maps as they come, `evaluate --scale minmax` does the same). The enlarging is
bilinear; wsolevaluation's is bicubic. Only a map whose maximum float16 cannot hold well
(outside 2^-5 to 2^15) is divided by a power of two, which brings its maximum to 1/2 to 1; an evaluation that takes
thresholds as fractions of the maximum sees no difference.

The same command again goes on after the last whole shard. Memory does not grow with the number of images.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from wsol.shell import localization, shielded

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from core.backbone import Backbone
    from core.data.records import ImageRecord
    from wsol.cam.base import Choose
    from wsol.maps.shards import ShardWriter
    from wsol.stage import Localize

_log = logging.getLogger(__name__)
_RANKED = 5
_FLOAT16_EXPONENTS = (-5, 15)  # of a map's maximum: 11 bits remain for what is a thousandth of it


@dataclass(frozen=True)
class Request:
    """What to extract beside what the config says."""

    backbone: str
    """A run folder, a .safetensors file, timm:NAME or torchvision:NAME."""
    out: Path
    """The folder to write, or to go on with."""
    which: str = "truth"
    """The class of a map: "truth", "predicted", or "topK" for K maps of each image."""
    side: int | None = None
    """Side of the maps in pixels; None: the crop's; 0: that of the feature map."""
    minmax: bool = False
    """Scale each map from its minimum, 0, to its maximum, 1; a constant map becomes 0."""
    shard_size: int = 256
    """Maps in a shard: what a kill may cost, and what is held in memory."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.which not in ("truth", "predicted") and self.top is None:
            raise UserError(f"--class: expected truth, predicted or topK (top1, top5, ...), got {self.which!r}")
        if (self.side is not None and self.side < 0) or self.shard_size < 1:
            raise UserError(f"expected --side >= 0 and --shard-size >= 1, got {self.side} and {self.shard_size}")

    @property
    def top(self) -> int | None:
        """K of "topK"."""
        number = self.which.removeprefix("top")
        return int(number) if number != self.which and number.isdecimal() and int(number) > 0 else None


def extract(config: "Localize", request: Request, show: Callable[..., Iterator[int]]) -> int:
    """Write the maps; returns how many images this call did.

    Args:
        config: data, split, geometry, CAM, layer4's stride, batch size, device, workers.
        request: the rest.
        show: (counts, total, done) -> the counts, shown as progress.

    Raises:
        UserError: no such backbone, another number of classes where the ground truth's maps are asked for, a folder of
            other settings or another process at work in it, a map that is not finite (the image is named).
    """
    from core import backbone
    from core.lock import Lock
    from wsol.maps.shards import ShardWriter

    config.prepare()
    records = config.data.records(config.root, config.split)
    classes = len(config.data.classes(config.root))
    settings = _settings(config, request, records, classes)
    loaded = backbone.load(request.backbone, layer4_stride1=config.layer4_stride1)
    _check_classes(request, loaded.spec.num_classes, classes)
    folders = [request.out] if request.top is None else [request.out / f"top{k + 1}" for k in range(request.top)]
    size = -(-request.shard_size // config.batch_size) * config.batch_size  # whole batches: see `wsol/run.py`
    with ExitStack() as stack:
        stack.callback(Lock(request.out).release)
        writers = [stack.enter_context(ShardWriter(folder, settings=settings, shard_size=size)) for folder in folders]
        _write_metadata(request.out / "metadata", records)
        done = frozenset.intersection(*(writer.done_ids() for writer in writers))
        todo = [record for record in records if record.id not in done]
        if done:
            _log.info("goes on: %d of %d images are there", len(records) - len(todo), len(records))
        known = loaded.spec.num_classes == classes
        counts = _write(config, request, loaded, todo, writers, ranked=_RANKED if known else 0)
        return sum(show(counts, len(records), len(records) - len(todo)))


def _write(
    config: "Localize",
    request: Request,
    loaded: "Backbone",
    records: "Sequence[ImageRecord]",
    writers: "Sequence[ShardWriter]",
    *,
    ranked: int,
) -> Iterator[int]:
    """Yield the number of images of each batch once it is with the writers."""
    import torch

    from core.images import normalize
    from core.loader import ordered_batches
    from core.stage import fabric as fabric_of
    from wsol.crops import Crops, collate, upsample

    fabric = fabric_of(config)
    network = loaded.model.to(fabric.device).to(memory_format=torch.channels_last).eval()
    explain = config.cam.bind(network)
    side = config.geometry.crop if request.side is None else request.side
    batches = ordered_batches(
        Crops(records, config.geometry), collate, seed=0, batch_size=config.batch_size, workers=config.workers
    )
    for batch in batches:
        of_batch = [records[i] for i in batch.indices.tolist()]
        pixels = fabric.to_device(batch.pixels)
        with torch.no_grad(), fabric.autocast():
            maps = explain(normalize(pixels, loaded.spec.mean, loaded.spec.std), _chooser(request, of_batch))
        best = maps.logits.topk(min(ranked, maps.logits.shape[1])).indices.cpu().numpy()
        columns = [maps.scores] if request.top is None else maps.scores.unbind(1)
        for writer, scores in zip(writers, columns, strict=True):
            values = to_float16((upsample(scores, side) if side else scores).cpu().numpy(), of_batch, request.minmax)
            there = writer.done_ids()
            new = [i for i, record in enumerate(of_batch) if record.id not in there]
            ids = [of_batch[i].id for i in new]
            writer.add(ids, values[new], batch.windows.numpy()[new], batch.sizes.numpy()[new], best[new])
        yield len(of_batch)


def to_float16(maps: "np.ndarray", records: "Sequence[ImageRecord]", minmax: bool = False) -> "np.ndarray":
    """Maps [N, h, w] float32 of these images as float16, scaled where the module's docstring says so.

    Raises:
        UserError: a map is not finite; its image is named.
    """
    import numpy as np

    flat = maps.reshape(len(maps), -1)
    if bad := np.flatnonzero(~np.isfinite(flat).all(1)).tolist():
        raise UserError(
            f"{records[bad[0]].id}: its score map holds NaN or infinity; are the backbone's weights finite?"
        )
    high = flat.max(1)
    if minmax:
        low = flat.min(1)
        span = np.where(high > low, high - low, 1)
        return np.asarray((maps - low[:, None, None]) / span[:, None, None]).astype(np.float16)
    peak = np.where(high > 0, high, np.abs(flat).max(1))  # a map without a positive value has no threshold to keep
    exponent = np.frexp(peak)[1]
    low_exponent, high_exponent = _FLOAT16_EXPONENTS
    shift = np.where((exponent > low_exponent) & (exponent <= high_exponent), 0, -exponent)
    scaled = np.ldexp(maps, shift[:, None, None])
    result: np.ndarray = np.maximum(scaled, np.finfo(np.float16).min).astype(np.float16)
    return result


def _chooser(request: Request, records: "Sequence[ImageRecord]") -> "Choose":
    import torch

    def choose(logits: "Tensor") -> "Tensor":
        if request.top is not None:
            return logits.topk(request.top).indices
        if request.which == "predicted":
            return logits.argmax(1)
        return torch.tensor([record.label for record in records], device=logits.device)

    return choose


def _check_classes(request: Request, head: int, classes: int) -> None:
    if request.which == "truth" and head != classes:
        raise UserError(
            f"{request.backbone}: a head of {head} classes, the data has {classes}; expected as many for maps of the "
            "ground truth (--class predicted asks the head for its own)"
        )
    if request.top is not None and request.top > head:
        raise UserError(f"{request.backbone}: a head of {head} classes has no {request.which}")


def _settings(config: "Localize", request: Request, records: "Sequence[ImageRecord]", classes: int) -> dict[str, Any]:
    """What the maps depend on."""
    from core.config import plain
    from core.stage import upstream_digest

    names = ("data", "geometry", "cam")
    return {
        **{name: plain(getattr(config, name), hashed_only=True) for name in names},
        "split": config.split,
        "layer4_stride1": config.layer4_stride1,
        "precision": config.precision,
        "images": config.data.fingerprint(config.root, config.split, records, boxes=True),
        "backbone": upstream_digest(request.backbone),
        "class": request.which,
        "classes": classes,
        "side": request.side,
        "minmax": request.minmax,
    }


def _write_metadata(folder: Path, records: "Sequence[ImageRecord]") -> None:
    from wsol.metadata.records import from_records
    from wsol.metadata.text import write

    if not records or not all(record.boxes for record in records):
        _log.info("no metadata written: not every image has a box")
    else:
        write(folder, from_records(records))


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code: see `wsol.shell.shielded`."""
    return shielded(_parser(), _command, argv, "the same command goes on after the last whole shard")


def _command(options: argparse.Namespace, rest: list[str]) -> None:
    from wsol.evaluate.progress import shown

    request = Request(options.backbone, options.out, options.which, options.side, options.minmax, options.shard_size)
    config = localization(options.config, rest, "python -m wsol extract")
    count = extract(config, request, lambda counts, total, done: shown(counts, total, done, sys.stderr))
    _log.info("%s: %d images now, all are there", options.out, count)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m wsol extract",
        usage="%(prog)s CONFIG --backbone SOURCE --out FOLDER [options] [--field.of.the.config VALUE ...]",
        description="Write a classifier's score maps, float16, in shards, for `python -m wsol evaluate`.",
        epilog="`%(prog)s CONFIG --backbone x --out x --help` lists the fields of that config.",
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("config", help="a config file, or its name below configs/ (wsol/cub_cam)")
    parser.add_argument("--backbone", required=True, help="a run, a .safetensors file, timm:NAME, torchvision:NAME")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write, or to go on with")
    parser.add_argument("--class", dest="which", default="truth", help="truth (default), predicted, top1, ..., top5")
    parser.add_argument("--side", type=int, help="side of the maps, bilinear (default: the crop's; 0: as they come)")
    parser.add_argument("--minmax", action="store_true", help="scale each map from its minimum to its maximum, 0 to 1")
    parser.add_argument("--shard-size", type=int, default=256, help="maps in a shard (default: 256)")
    return parser
