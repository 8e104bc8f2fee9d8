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

    def maps(self, ids: Sequence[str]) -> Iterator[ScoreMap]:
        """The score maps of these images, in this order."""
        for score_map in self.source.read(ids):
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
    maps: Path, metadata: Path, *, ids: Path | None = None, predicted: Path | None = None, skip_bad: bool = False
) -> Split:
    """Open the maps, read the metadata and the predictions, and match their ids.

    Raises:
        EvalError: a file is missing or wrong, or ids do not match: how many and which are missing on each side.
    """
    source = open_source(maps, ids)
    truths = {truth.id: truth for truth in text.read(metadata)}
    ranked = predictions.read_ranked(predicted) if predicted is not None else None
    unmatched = _unmatched(source, truths, ranked) if skip_bad else ()
    left_out = {name for name, _ in unmatched}
    found = [name for name in source.ids if name not in left_out]
    kept = {name: truth for name, truth in truths.items() if name not in left_out}
    if found:
        common = match.match(found, kept)
    else:  # nothing in common: the message of a strict match says what differs
        common = match.match(source.ids, truths)
    if ranked is not None and (missing := [name for name in common if name not in ranked]):
        raise EvalError(
            f"{predicted}: expected the classes of {len(common)} images, {len(missing)} are missing: "
            f"{', '.join(missing[:10])}{' ...' if len(missing) > 10 else ''}"
        )
    return Split(source, kept, ranked, tuple(common), unmatched)


def _unmatched(
    source: Source, truths: Mapping[str, Truth], ranked: Mapping[str, tuple[int, ...]] | None
) -> tuple[Skipped, ...]:
    """What --skip-bad leaves out before a map is read."""
    there = set(source.ids)
    found = [(name, "no metadata") for name in source.ids if name not in truths]
    found += [(name, "no score map") for name in truths if name not in there]
    if ranked is not None:
        found += [(name, "no predicted classes") for name in source.ids if name in truths and name not in ranked]
    return tuple(found)


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
