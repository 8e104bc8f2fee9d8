"""Ground truth that the command line names: a VOC image set, or a COCO instances file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.data.coco_instances import Instances, read_instances
from core.data.records import SceneRecord
from core.data.voc import VOC_CLASSES, annotations

LAST_YEAR_OF_ELEVEN_POINTS = 2009  # the development kit of VOC 2010 changed to the area below the curve


@dataclass(frozen=True)
class GroundTruth:
    """Images with their objects, and how predictions name the classes."""

    name: str
    """What is shown: "VOC2007 test", or the file's name."""
    scenes: Sequence[SceneRecord]
    classes: tuple[str, ...]
    """Names by label."""
    category_ids: tuple[int, ...]
    """By label: the `category_id` that predictions in COCO's format have."""
    instances: Instances | None = None
    """The COCO file, where it is one."""


def voc(root: Path, year: str = "2007", image_set: str = "test") -> GroundTruth:
    """A VOC image set; no image is read. Category ids are 0 to 19, as the stage `transfer` writes them.

    Args:
        root: the folder VOCdevkit, the one that holds it, or VOC<year> itself.
        year: "2007", ...
        image_set: the name of a file in ImageSets/Main.

    Raises:
        DataError: something is missing or malformed.
    """
    scenes = annotations(root, year, image_set)
    return GroundTruth(f"VOC{year} {image_set}", scenes, VOC_CLASSES, tuple(range(len(VOC_CLASSES))))


def coco(path: Path) -> GroundTruth:
    """A COCO instances file. Category ids are the file's own. DataError: it is missing or malformed."""
    found = read_instances(path)
    return GroundTruth(path.name, found.scenes(), found.classes, found.category_ids, found)
