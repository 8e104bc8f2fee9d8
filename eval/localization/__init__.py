"""Weakly supervised localization: from score maps and annotations to numbers.

`evaluate` does all at once; `examine` and `report` are its two halves, between which parts can be saved. Importing this
imports numpy alone.
"""

from eval.errors import EvalError
from eval.localization.evaluate import evaluate
from eval.localization.measures import At, Measure, PixelScores
from eval.localization.part import Part, examine
from eval.localization.report import Report, report
from eval.localization.runs import Runs
from eval.localization.settings import Settings
from eval.localization.truth import ScoreMap, Truth, Window

__all__ = [
    "At",
    "EvalError",
    "Measure",
    "Part",
    "PixelScores",
    "Report",
    "Runs",
    "ScoreMap",
    "Settings",
    "Truth",
    "Window",
    "evaluate",
    "examine",
    "report",
]
