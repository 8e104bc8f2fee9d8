"""One split's input: score maps, annotations and ranked classes, matched by id."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import UserError
from eval.errors import EvalError
from eval.localization.truth import ScoreMap, Truth
from wsol.geometry import Geometry, Letterbox, ShortSide
from wsol.maps.source import Source, open_source
from wsol.metadata import match, predictions, text

PART = 256
"""Images of a part: what a kill can lose, and what a process takes at once."""
Skipped = tuple[str, str]
"""An image's id, and why it was left out."""


@dataclass(frozen=True, eq=False)
class Split:
    """What is evaluated; pickled to the worker processes."""

    source: Source
    truths: Mapping[str, Truth]
    ranked: Mapping[str, tuple[int, ...]] | None
    """Classes by id, best first; None: as the source says."""
    ids: tuple[str, ...]
    """The images to evaluate, in this order."""
    unmatched: tuple[Skipped, ...] = ()
    """What only one side has (`skip_bad`; else that is an error)."""
    geometry: Geometry | None = None
    """What part of its image a map covers, where its source does not say; None: all of it."""
    notes: tuple[str, ...] = ()
    """What a reader should know of the input."""

    @property
    def parts(self) -> int:
        """How many parts the images make."""
        return -(-len(self.ids) // PART)

    def maps(self, ids: Sequence[str], skipped: list[Skipped] | None = None) -> Iterator[ScoreMap]:
        """The score maps of these images, in this order; those that cannot be read are appended to `skipped`."""
        for score_map in self.source.read(ids, skipped):
            window, ranked = score_map.window, score_map.ranked
            if window is None and self.geometry is not None:
                window = self.geometry.window(self.truths[score_map.id].size)
            if self.ranked is not None:
                ranked = self.ranked[score_map.id]
            yield replace(score_map, window=window, ranked=ranked)

    def fingerprint(self) -> dict[str, str | int]:
        """What tells whether two evaluations read the same: sizes and names of the maps, and the whole metadata."""
        ranked = [(name, *self.ranked[name]) for name in self.ids] if self.ranked is not None else None
        return {
            "images": len(self.ids),
            "maps": self.source.fingerprint(),
            "metadata": _digest(line for name in self.ids for line in _content(self.truths[name])),
            "predictions": _digest(repr(line).encode() for line in ranked) if ranked is not None else "as the maps say",
            "window": repr(self.geometry) if self.geometry is not None else "as the maps say, else the whole image",
        }


def load(
    maps: Path,
    metadata: Path,
    *,
    ids: Path | None = None,
    predicted: Path | None = None,
    mask_root: Path | None = None,
    classes: int | None = None,
    window: str = "whole",
    skip_bad: bool = False,
) -> Split:
    """Open the maps, read the metadata and the predictions, and match ids, sizes and labels.

    Args:
        maps: as `open_source` takes them, and so `ids`. metadata: folder, and `mask_root`. predicted: ranked classes.
        classes: how many the classifier knows; None: as the maps say, if they do.
        window: what part of its image a map covers, see `geometry_of`.
        skip_bad: leave images out that do not match, unless none is left.

    Raises:
        UserError, EvalError: a file is missing or wrong; ids do not match: how many and which are missing on each side;
            maps were made of images of other sizes; labels beyond the classes (with `skip_bad` as well: then all are
            of other classes).
    """
    source = open_source(maps, ids)
    unmatched: list[Skipped] | None = [] if skip_bad else None
    truths = {truth.id: truth for truth in text.read(metadata, mask_root=mask_root, skipped=unmatched)}
    wrong = {name for name, _ in unmatched or ()}  # the metadata has them, but not so that they can be used
    common = match.match([name for name in source.ids if name not in wrong], truths, unmatched)
    common = match.check_sizes(source.sizes, (truths[name] for name in common), unmatched)
    known = source.classes if classes is None else classes
    if known is not None:
        match.check_classes((truths[name] for name in common), known)
    # One order whatever the maps are kept in: the intervals' resamples are drawn by it.
    common = tuple(sorted(common))
    geometry = geometry_of(window)
    if predicted is None:
        return Split(source, truths, None, common, tuple(unmatched or ()), geometry)
    if all(truths[name].label is None for name in common):
        raise EvalError(f"{predicted}: predicted classes need {metadata / 'class_labels.txt'}, which is not there")
    ranked = predictions.read_ranked(predicted)
    missing = [name for name in common if name not in ranked]
    if missing and (unmatched is None or len(missing) == len(common)):
        raise EvalError(
            f"{predicted}: expected the classes of {len(common):,} images, {len(missing):,} are missing: "
            f"{', '.join(missing[:10])}{' ...' if len(missing) > 10 else ''}"
        )
    left_out = [(name, f"no classes in {predicted}") for name in missing]
    kept = tuple(name for name in common if name in ranked)
    notes = _shifted([truths[name].label for name in kept], [ranked[name] for name in kept])
    return Split(source, truths, ranked, kept, (*(unmatched or ()), *left_out), geometry, notes)


def geometry_of(window: str) -> Geometry | None:
    """What part of its image a map covers, from "squash:256:224", "short:256:224", "pad:224" or "whole" (None).

    Raises:
        EvalError: it is none of these.
    """
    name, *words = window.split(":")
    kinds: dict[str, tuple[type[Geometry], int]] = {
        "squash": (Geometry, 2),
        "short": (ShortSide, 2),
        "pad": (Letterbox, 1),
    }
    if window == "whole":
        return None
    if name not in kinds or len(words) != kinds[name][1] or not all(word.isdecimal() for word in words):
        raise EvalError(
            f"--window {window}: expected whole, squash:RESIZE:CROP (squashed to a square, then a centre crop), "
            "short:RESIZE:CROP (the short side resized, then a centre crop) or pad:SIDE (the long side resized, padded)"
        )
    sides = [int(word) for word in words]
    try:
        return kinds[name][0](sides[0], sides[-1])
    except UserError as error:
        raise EvalError(f"--window {window}: {error}") from None


def _shifted(labels: Sequence[int | None], ranked: Sequence[Sequence[int]]) -> tuple[str, ...]:
    """A note where predictions look like classes counted from 1, and labels like classes counted from 0."""
    known = [label for label in labels if label is not None]
    lowest, highest = min(min(classes) for classes in ranked), max(max(classes) for classes in ranked)
    if 0 in known and lowest > 0 and highest > max(known):
        return (
            f"predicted classes lie in {lowest} to {highest}, labels in 0 to {max(known)}: are predictions counted "
            "from 1? Both must be counted from 0",
        )
    return ()


def _content(truth: Truth) -> Iterator[bytes]:
    """Everything about an image's annotation that can change a number; of mask files the name and size."""
    yield repr((truth.id, truth.size, truth.label, truth.boxes.tolist())).encode()
    for path in (*truth.masks, *([truth.ignore] if truth.ignore else ())):
        yield f"{path.name} {path.stat().st_size if path.is_file() else None}".encode()


def _digest(lines: Iterator[bytes]) -> str:
    found = hashlib.sha256()
    for line in lines:
        found.update(line + b"\n")
    return found.hexdigest()[:16]
