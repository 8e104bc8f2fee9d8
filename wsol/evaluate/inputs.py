"""One split's input: score maps, annotations and ranked classes, matched by id."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eval.errors import EvalError
from eval.localization.truth import ScoreMap, Truth
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

    @property
    def parts(self) -> int:
        """How many parts the images make."""
        return -(-len(self.ids) // PART)

    def maps(self, ids: Sequence[str], skipped: list[Skipped] | None = None) -> Iterator[ScoreMap]:
        """The score maps of these images, in this order; those that cannot be read are appended to `skipped`."""
        for score_map in self.source.read(ids, skipped):
            yield replace(score_map, ranked=self.ranked[score_map.id]) if self.ranked is not None else score_map

    def fingerprint(self) -> dict[str, str | int]:
        """What tells whether two evaluations read the same: sizes and names of the maps, and the whole metadata."""
        ranked = [(name, *self.ranked[name]) for name in self.ids] if self.ranked is not None else None
        return {
            "images": len(self.ids),
            "maps": self.source.fingerprint(),
            "metadata": _digest(line for name in self.ids for line in _content(self.truths[name])),
            "predictions": _digest(repr(line).encode() for line in ranked) if ranked is not None else "from the maps",
        }


def load(
    maps: Path,
    metadata: Path,
    *,
    ids: Path | None = None,
    predicted: Path | None = None,
    mask_root: Path | None = None,
    classes: int | None = None,
    skip_bad: bool = False,
) -> Split:
    """Open the maps, read the metadata and the predictions, and match ids, sizes and labels.

    Args:
        maps: as `open_source` takes them, and so `ids`. metadata: folder, and `mask_root`. predicted: ranked classes.
        classes: how many the classifier knows; None: as the maps say, if they do.
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
    if predicted is None:
        return Split(source, truths, None, common, tuple(unmatched or ()))
    ranked = predictions.read_ranked(predicted)
    missing = [name for name in common if name not in ranked]
    if missing and (unmatched is None or len(missing) == len(common)):
        raise EvalError(
            f"{predicted}: expected the classes of {len(common):,} images, {len(missing):,} are missing: "
            f"{', '.join(missing[:10])}{' ...' if len(missing) > 10 else ''}"
        )
    left_out = [(name, f"no classes in {predicted}") for name in missing]
    kept = tuple(name for name in common if name in ranked)
    return Split(source, truths, ranked, kept, (*(unmatched or ()), *left_out))


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
