"""Ground truth that the command line names: a VOC image set, or a COCO instances file."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.data.coco_instances import Instances, read_instances
from core.data.voc import VOC_CLASSES, annotations
from eval.detection.semantics import Rule
from eval.detection.truth import Scene

LAST_YEAR_OF_ELEVEN_POINTS = 2009  # the development kit of VOC 2010 changed to the area below the curve


@dataclass(frozen=True)
class GroundTruth:
    """Images with their objects, and how predictions name the classes."""

    name: str
    """What is shown: "VOC2007 test", or the file's name."""
    scenes: Sequence[Scene]
    classes: tuple[str, ...]
    """Names by label."""
    category_ids: tuple[int, ...]
    """By label: the `category_id` that predictions in COCO's format have."""
    rule: Rule
    """What its own years' development kit computes."""
    instances: Instances | None = None
    """The COCO file, where it is one."""


def voc(root: Path, year: str = "2007", image_set: str = "test", first_category: int = 0) -> GroundTruth:
    """A VOC image set; no image is read.

    Args:
        root: the folder VOCdevkit, the one that holds it, or VOC<year> itself.
        year: "2007", ...
        image_set: the name of a file in ImageSets/Main.
        first_category: category id of the first class. The stage `transfer` counts from 0, COCO files of VOC often
            from 1.

    Raises:
        DataError: something is missing or malformed.
    """
    scenes = annotations(root, year, image_set)
    rule: Rule = "area" if year.isdecimal() and int(year) > LAST_YEAR_OF_ELEVEN_POINTS else "11 points"
    ids = tuple(range(first_category, first_category + len(VOC_CLASSES)))
    return GroundTruth(f"VOC{year} {image_set}", scenes, VOC_CLASSES, ids, rule)


def coco(path: Path) -> GroundTruth:
    """A COCO instances file. Category ids are the file's own. DataError: it is missing or malformed.

    Categories that share a name, which COCO does not forbid, are told apart by their ids: "cat (17)".
    """
    found = read_instances(path)
    times = Counter(found.classes)
    names = tuple(one.name if times[one.name] == 1 else f"{one.name} ({one.id})" for one in found.categories)
    return GroundTruth(path.name, found.scenes(), names, found.category_ids, "area", found)
