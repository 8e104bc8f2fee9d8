"""What a call of the evaluator asks for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Request:
    """The command line, understood but not checked against files."""

    maps: Path
    """Score maps: whatever `wsol.maps.source.open_source` opens."""
    metadata: Path
    """Folder in wsolevaluation's text format."""
    ids: Path | None = None
    """The ids of a .npy of all maps, one a line."""
    predictions: Path | None = None
    """Ranked classes per image."""
    mask_root: Path | None = None
    """Folder below which mask paths are; None: the metadata's."""
    classes: int | None = None
    """How many classes the classifier knows, of both splits; None: as the maps say, if they do."""
    window: str = "whole"
    """What part of its image a map covers, of both splits: `wsol.evaluate.inputs.geometry_of`."""
    select_on: Path | None = None
    """Score maps of the split that chooses thresholds; the three below are its `metadata`, `ids`, `predictions`."""
    select_metadata: Path | None = None
    select_ids: Path | None = None
    select_predictions: Path | None = None
    skip_bad: bool = False
    """Leave images out that cannot be evaluated, and list them."""
    geometry: Literal["corrected", "compat", "both"] = "corrected"
    threshold: float = 0.15
    """The fixed threshold, a fraction of `scale`."""
    scale: Literal["max", "minmax"] = "max"
    levels: int | Literal["exact"] = 1000
    resamples: int = 1000
    """Of the bootstrap."""
    out: Path | None = None
    """None: nothing is kept."""
    resume: bool = False
    """Refuse to begin anew."""
    jobs: int = 1
    """Processes."""
    rows: Literal["csv", "parquet", "none"] = "csv"
    figures: bool = True
    images: Path | None = None
    """Folder of the images, for the gallery."""
