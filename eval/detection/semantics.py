"""The rules by which programs turn the same detections into Pascal VOC's average precision: same boxes, other numbers.

Every program here reads VOC's results: text files of 1-based corners, both ends inside. A detection (x0, y0, x1, y1) of
this project, half-open with origin 0, is (x0 + 1, y0 + 1, x1, y1) there. So a semantics says: given that file, this is
what the program prints. Read in these sources:

    detectron2       facebookresearch/detectron2 02b5c4e, evaluation/pascal_voc_evaluation.py
    voc-devkit       VOCdevkit, VOCcode/VOCevaldet.m (2007's; the area, which came in 2010, from its description)
    chainercv        chainer/chainercv, evaluations/eval_detection_voc.py
    ssd.pytorch      amdegroot/ssd.pytorch, eval.py
    py-faster-rcnn   rbgirshick/py-faster-rcnn, lib/datasets/voc_eval.py, as jwyang/faster-rcnn.pytorch has it

|                       | detectron2 | voc-devkit | chainercv | ssd.pytorch | py-faster-rcnn |
|-----------------------|------------|------------|-----------|-------------|----------------|
| object's corners      | as in XML  | as in XML  | as in XML | minus 1     | as in XML      |
| width                 | x1-x0+1    | x1-x0+1    | x1-x0+1   | x1-x0       | x1-x0+1        |
| right where IoU is    | > t        | >= t       | >= t      | > t         | > t            |
| object looked at      | the one overlapped most, taken or not, difficult or not: all five             |
| taken already         | wrong: all five                                                               |
| most is difficult     | neither right nor wrong; difficult objects are not asked for: all five        |
| rule of its VOC 2007  | 11 points  | 11 points  | area (1)  | 11 points   | 11 points      |
| the 11 recalls        | numpy      | MATLAB (2) | numpy     | numpy       | numpy          |
| its writer rounds (3) | yes        | no writer  | no        | yes         | yes            |
| equal scores          | unstable   | as in file | unstable  | unstable    | unstable       |
| no object of a class  | 0 or NaN   | 0 or NaN   | left out  | 0 or NaN    | 0 or NaN       |
| no detection of it    | 0          | 0          | 0         | -1 (4)      | 0              |

(1) Unless called with `use_07_metric=True`, as its VOC 2007 numbers are.
(2) numpy's arange has .30000000000000004, .6000000000000001 and .7000000000000001, MATLAB's 0:0.1:1 counts the upper
    half from its end and has .6 and .7: a recall of exactly .6 or .7 reaches a point in MATLAB only.
(3) Scores to .001 and corners to .1 pixel when the file is written, so before the evaluator's own code. `rounded` does
    the same; it is off everywhere, because rounding makes ties, and how those programs order ties is chance.
(4) A class without one detection lowers that program's mean by 1/K of -100%. Here it counts 0.

Two things are one rule for all here. Of equal scores the smaller image id (as text) goes first, then the box with the
smaller x0, y0, x1, y1: no result depends on the order of images or of entries. A class without an object to find is
named and left out of the means; the programs' own figure for it would be 0 by 11 points and NaN by area.

pycocotools differs in more: >=, half-open widths, the best object *not yet taken*, 101 recalls, 100 detections an
image, no difficult objects; those numbers come from `eval.detection.coco`.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Rule = Literal["11 points", "area"]
"""VOC 2007: mean precision at recalls 0, .1, ..., 1. VOC 2010 and later: area below the envelope of the curve."""

NUMPY_RECALLS = tuple(np.arange(0.0, 1.1, 0.1).tolist())
"""Every Python evaluator's eleven recalls, errors of rounding included: published numbers were made with them."""
MATLAB_RECALLS = (0.0, 0.1, 0.2, 3 * 0.1, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""0:0.1:1 as MATLAB computes it."""


@dataclass(frozen=True)
class Semantics:
    """One program's rules. The module's table has them side by side."""

    name: str
    plus_one: bool = True
    """A box of VOC's corners is x1 - x0 + 1 wide (so, half-open x1 - x0), otherwise x1 - x0."""
    at_least: bool = False
    """Right from IoU >= threshold on, otherwise from IoU > threshold."""
    shift: float = 0.0
    """Pixels added to all four corners of every object, and to no detection's."""
    rule: Rule = "11 points"
    """What the program computes for VOC 2007 when nothing else is asked for."""
    recalls: tuple[float, ...] = NUMPY_RECALLS
    """Where the rule "11 points" reads the curve, as floats."""
    rounded: bool = False
    """Scores to .001 and VOC's corners to .1 pixel before anything else, as a results file of three programs is."""
    difficult: Literal["neither", "asked", "absent"] = "neither"
    """Difficult objects: neither asked for nor wrong to find; asked for like the others; or not there at all."""

    def passes(self, iou: np.ndarray, threshold: float) -> np.ndarray:
        """Where an IoU is enough to be right: bool, of iou's shape."""
        return np.asarray(iou >= threshold if self.at_least else iou > threshold)


SEMANTICS: dict[str, Semantics] = {
    rules.name: rules
    for rules in (
        Semantics("detectron2"),
        Semantics("voc-devkit", at_least=True, recalls=MATLAB_RECALLS),
        Semantics("chainercv", at_least=True, rule="area"),
        Semantics("ssd.pytorch", plus_one=False, shift=-1.0),
        Semantics("py-faster-rcnn"),
    )
}
"""By name. "detectron2" is the default everywhere."""

VARIANTS: dict[str, Semantics] = {
    rules.name: rules
    for rules in (
        replace(SEMANTICS["detectron2"], name="detectron2, rounded as written", rounded=True),
        replace(SEMANTICS["detectron2"], name="detectron2, difficult asked for", difficult="asked"),
        replace(SEMANTICS["detectron2"], name="detectron2, difficult left out", difficult="absent"),
    )
}
"""What people also report, mostly without meaning to: the same rules, but for one. For comparison, not for choosing."""
