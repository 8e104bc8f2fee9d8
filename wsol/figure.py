"""`python -m wsol figure CONFIG --backbone NAME=SOURCE ... --out FILE.png`: where models see two classes in one image.

After figure 2 of CutMix (arXiv 1905.04899): the inputs are image A, image B and A's Mixup, Cutout and CutMix with B;
below them, for each model, the map of A's class and that of B's. A model that was trained with CutMix finds both.

The mixed images are made here, plainly and always alike: Mixup is half of each (lambda .5); the box of Cutout and of
CutMix is the middle half of each side (a quarter of the area, lambda .75), filled with ImageNet's mean colour, about 0
for the network, or with B's pixels. A map is clipped below 0 and scaled by its own maximum, so that a class that is
not there has a hottest place too: above each map stands the probability that the model gives to the class.
"""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from wsol.shell import localization, shielded

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from core.data.records import ImageRecord
    from wsol.stage import Localize

_log = logging.getLogger(__name__)
_MEAN_COLOUR = (124, 116, 104)
_CELL = 1.7  # inches


@dataclass(frozen=True)
class Seen:
    """One model's maps of the inputs."""

    name: str
    scores: "np.ndarray"
    """[2, inputs, S, S], 0 to 1: for A's class and for B's."""
    probabilities: "np.ndarray"
    """[2, inputs]."""


def mixed(a: "Tensor", b: "Tensor") -> dict[str, "Tensor"]:
    """Two images uint8 [3, S, S] -> the inputs, by name, each of that shape."""
    import torch

    side = a.shape[-1]
    inside = slice(side // 4, side - side // 4)
    cutout, cutmix = a.clone(), a.clone()
    cutout[:, inside, inside] = torch.tensor(_MEAN_COLOUR, dtype=torch.uint8)[:, None, None]
    cutmix[:, inside, inside] = b[:, inside, inside]
    mixup = (a.float() * 0.5 + b.float() * 0.5).round().to(torch.uint8)
    return {"A": a, "B": b, "Mixup": mixup, "Cutout": cutout, "CutMix": cutmix}


def pair(records: "Sequence[ImageRecord]", ids: Sequence[str] | None) -> "tuple[ImageRecord, ImageRecord]":
    """The records of two ids, or the first two records of different classes.

    Raises:
        UserError: no such id, or all images are of one class.
    """
    if ids is None:
        found = [records[0], *(record for record in records if record.label != records[0].label)]
    else:
        by_id = {record.id: record for record in records}
        if missing := [id for id in ids if id not in by_id]:
            raise UserError(f"--images: no image {missing[0]!r} in the split; the first ones are {list(by_id)[:3]}")
        found = [by_id[id] for id in ids]
    if len(found) < 2 or found[0].label == found[1].label:
        raise UserError("expected two images of different classes, both are of one")
    return found[0], found[1]


def see(config: "Localize", name: str, source: str, inputs: "Tensor", labels: Sequence[int]) -> Seen:
    """One model's maps of inputs uint8 [n, 3, S, S] for two classes, on the config's device and in its precision.

    Raises:
        UserError: no such backbone, its head's classes are not the data's, or there is no such device.
    """
    import torch

    from core import backbone
    from core.images import normalize
    from core.stage import fabric as fabric_of
    from wsol.crops import upsample

    fabric = fabric_of(config)
    loaded = backbone.load(source, layer4_stride1=config.layer4_stride1)
    classes = len(config.data.classes(config.root))
    if loaded.spec.num_classes != classes:
        raise UserError(f"{source}: a head of {loaded.spec.num_classes} classes, the data has {classes}")
    explain, side = config.cam.bind(loaded.model.to(fabric.device).eval()), inputs.shape[-1]
    both = fabric.to_device(torch.tensor(labels).repeat(len(inputs), 1))  # [n, 2]
    with torch.no_grad(), fabric.autocast():
        maps = explain(normalize(fabric.to_device(inputs), loaded.spec.mean, loaded.spec.std), lambda _: both)
    scores = upsample(maps.scores.flatten(0, 1), side).clamp_min(0)  # [2 n, S, S]
    scores = scores / scores.amax((1, 2), keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    probabilities = maps.logits.float().softmax(1).gather(1, both)
    return Seen(name, scores.reshape(-1, 2, side, side).transpose(0, 1).cpu().numpy(), probabilities.mT.cpu().numpy())


def draw(out: Path, inputs: "dict[str, Tensor]", classes: Sequence[str], models: Sequence[Seen]) -> None:
    """Write the PNG. inputs: by name, uint8 [3, S, S]; classes: the names of A's and B's."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from core import atomic

    rows, columns = 1 + 2 * len(models), len(inputs)
    figure = Figure((_CELL * columns + 1.2, (_CELL + 0.2) * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    pictures = [image.permute(1, 2, 0).numpy() for image in inputs.values()]
    for axis, name, picture in zip(axes[0], inputs, pictures, strict=True):
        axis.imshow(picture)
        axis.set_title({"A": classes[0], "B": classes[1]}.get(name, name), fontsize=8)
    for row, axis_row in enumerate(axes[1:]):
        model, which = models[row // 2], row % 2
        _label(axis_row[0], f"{model.name}\n{classes[which]}")
        for column, (axis, picture) in enumerate(zip(axis_row, pictures, strict=True)):
            axis.imshow(picture)
            axis.imshow(model.scores[which, column], cmap="jet", vmin=0, vmax=1, alpha=0.5)
            axis.set_title(f"p = {model.probabilities[which, column]:.2f}", fontsize=7)
    _label(axes[0, 0], "input")
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    with atomic.replacing(out) as temporary:
        figure.savefig(temporary, format="png", dpi=130)


def _label(axis: Any, text: str) -> None:
    axis.set_ylabel(text, fontsize=8)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code: see `wsol.shell.shielded`."""
    return shielded(_parser(), _command, argv, "no figure was written")


def _command(options: argparse.Namespace, rest: list[str]) -> None:
    import torch

    from wsol.crops import Crops

    sources = [_named(given) for given in options.backbone]
    config = localization(options.config, rest, "python -m wsol figure")
    config.prepare()
    two = pair(config.data.records(config.root, config.split), options.images)
    crops = Crops(two, config.geometry)
    inputs = mixed(crops.sample(0)[0], crops.sample(1)[0])
    stacked, labels = torch.stack(list(inputs.values())), [record.label for record in two]
    models = [see(config, name, source, stacked, labels) for name, source in sources]
    names = config.data.classes(config.root)
    draw(options.out, inputs, [names[label] for label in labels], models)
    _log.info("%s: %s and %s, %d models", options.out, two[0].id, two[1].id, len(models))


def _named(given: str) -> tuple[str, str]:
    """ "NAME=SOURCE", or a source that is its own name."""
    name, equals, source = given.partition("=")
    return (name, source) if equals else (given, given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m wsol figure",
        usage="%(prog)s CONFIG --backbone NAME=SOURCE ... --out FILE.png [--images ID ID] [--field VALUE ...]",
        description="Draw the CAMs of two classes on two images and their mixtures, two rows for each model.",
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("config", help="a config file, or its name below configs/ (wsol/cub_cam)")
    parser.add_argument(
        "--backbone", action="append", required=True, metavar="NAME=SOURCE", help="a model; once for each"
    )
    parser.add_argument("--out", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--images", nargs=2, metavar="ID", help="two images' ids (default: the first of two classes)")
    return parser
