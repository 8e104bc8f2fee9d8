"""What remains of some images' score maps: small, and saved so that a killed evaluation loses no finished part.

Letters: N images, S sides of the centre box, K thresholds of pixels, C rings of the centre Gaussian.
"""

import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eval.errors import EvalError
from eval.localization import baselines, masks
from eval.localization.runs import Runs, join
from eval.localization.settings import Settings
from eval.localization.truth import ScoreMap, Truth, Window

_FORMAT = 3
_RUNS = ("largest", "any")
_SHIFT = 1e-3  # of the maximum: what an enlarged map's minimum may be off by
_NOTED = ("ids", "skipped", "shifted", "silent")
_BROKEN = (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged archive raises: RuntimeError where a flipped bit says that it is encrypted."""


@dataclass(frozen=True, eq=False)
class Part:
    """What some images gave. Either all of them have boxes or none, and so for masks."""

    ids: tuple[str, ...]
    windows: np.ndarray
    """[N, 4] float64: what the map covers, image pixels."""
    shapes: np.ndarray
    """[N, 2] int32: height and width of the map."""
    sizes: np.ndarray
    """[N, 2] int32: width and height of the image."""
    largest: Runs
    """Of the largest component; of N images, or of none where there are no boxes."""
    any: Runs
    """Of any component: the best IoU, without boxes."""
    right: np.ndarray
    """[N, 2] bool: the class is the first, or among the first five, of the classifier's."""
    ranks: np.ndarray
    """[N] int32: how many of the classifier's classes are known: 1 to 4 top-1 alone, 5 or more both; 0: none, or the
    image's own class is not known."""
    whole_iou: np.ndarray
    """[N] float64: IoU of the whole image; [0] without boxes."""
    centre_iou: np.ndarray
    """[N, S] float64: IoU of the box in the middle with sides of 1 / S, 2 / S, ... of the image's."""
    inside: np.ndarray
    """[N, K] uint32: pixels of the object by the map's value there (masks.py); [0, K] without masks."""
    outside: np.ndarray
    """[N, K] uint32: pixels of the background."""
    pixels: np.ndarray
    """[N] float64: all pixels of a mask, the ignored ones as well."""
    centre_inside: np.ndarray
    """[N, C] uint32: pixels of the object by their distance from the middle."""
    centre_outside: np.ndarray
    """[N, C] uint32: pixels of the background."""
    skipped: tuple[tuple[str, str], ...]
    """Ids of images that were left out, and why."""
    shifted: int
    """How many maps have another minimum than 0 in the image, by more than a thousandth of their maximum."""
    silent: tuple[str, ...]
    """Ids of maps that say nothing of the place: one value everywhere in the image, or none that is above where the
    scale starts."""

    def save(self, path: Path) -> None:
        """Write a .npz file, whole or not at all."""
        arrays = {name: value for name in _arrays() if isinstance(value := getattr(self, name), np.ndarray)}
        for name in _RUNS:
            arrays |= {f"{name}.{field.name}": getattr(getattr(self, name), field.name) for field in fields(Runs)}
        noted = {"format": _FORMAT} | {name: getattr(self, name) for name in _NOTED}
        arrays["noted"] = np.frombuffer(json.dumps(noted).encode(), np.uint8)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's stub takes ** for allow_pickle
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    @staticmethod
    def load(path: Path) -> "Part":
        """Read what `save` wrote; EvalError naming the file where it is something else, or damaged."""
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                noted = json.loads(file["noted"].tobytes())
                if noted.pop("format") != _FORMAT:
                    raise ValueError("another format")
                arrays: dict[str, Any] = {name: file[name] for name in _arrays()}
                runs = {name: Runs(*(file[f"{name}.{field.name}"] for field in fields(Runs))) for name in _RUNS}
        except _BROKEN as error:
            raise EvalError(
                f"{path}: not a part of an evaluation, or damaged ({error}); remove it, it is made again"
            ) from None
        noted["ids"], noted["silent"] = tuple(noted["ids"]), tuple(noted["silent"])
        noted["skipped"] = tuple((name, why) for name, why in noted["skipped"])
        return Part(**(arrays | runs | noted))


def _arrays() -> list[str]:
    return [field.name for field in fields(Part) if field.name not in (*_RUNS, *_NOTED)]


class _Found(NamedTuple):
    """What one map gave; None where its image has no boxes, or no masks."""

    id: str
    window: Window
    shape: tuple[int, ...]
    size: tuple[int, int]
    largest: Runs | None
    any: Runs | None
    ranked: tuple[bool, bool, int]
    baseline: tuple[float, np.ndarray] | None
    pixels: masks.Pixels | None
    shifted: bool
    silent: bool


def examine(
    maps: Iterable[ScoreMap], truths: Mapping[str, Truth], settings: Settings, *, skip_bad: bool = False
) -> Part:
    """Trace every map, and keep what the numbers need.

    Boxes are asked for where any of the truths has some, and masks likewise. Classes are known where the truth has a
    label and the map ranked classes.

    Args:
        maps: any number; read one by one, none is kept.
        truths: by id; more than there are maps is fine.
        settings: how maps become boxes.
        skip_bad: list an image that cannot be evaluated in `Part.skipped`, instead of raising.

    Raises:
        EvalError: names the image: not in the metadata, there twice, without a box or mask where others have them, a
            map of another shape or type or with NaN, a window without area, a label below 0, a mask that cannot be
            read; without `skip_bad`, classes known of some images only (else the report has no top-1 and top-5 Loc).
    """
    return Examiner(truths, settings, skip_bad=skip_bad)(maps)


class Examiner:
    """Makes parts of the maps of one split; an image is taken once. `examine` says how."""

    def __init__(self, truths: Mapping[str, Truth], settings: Settings, *, skip_bad: bool = False) -> None:
        self.truths, self.settings, self.skip_bad = truths, settings, skip_bad
        self.boxes = any(len(truth.boxes) for truth in truths.values())
        self.masks = any(truth.masks for truth in truths.values())
        self.seen = set[str]()
        """Ids of the maps so far, of those that were left out as well; not of maps without metadata."""
        self._first: tuple[str, bool] | None = None
        if self.boxes:
            from eval.localization.trace import Tracer  # numba

            self.tracer = Tracer(settings)

    def __call__(self, maps: Iterable[ScoreMap]) -> Part:
        """The part of some maps."""
        found: list[_Found] = []
        skipped: list[tuple[str, str]] = []
        for score_map in maps:
            try:
                found.append(self._look(score_map))
            except EvalError as error:
                if not self.skip_bad:
                    raise
                skipped.append((score_map.id, str(error).removeprefix(f"{score_map.id}: ")))
        return _part(found, skipped, self.settings)

    def _look(self, score_map: ScoreMap) -> _Found:
        truth = self._truth(score_map.id)
        whole = (0.0, 0.0, float(truth.size[0]), float(truth.size[1]))
        window = whole if score_map.window is None else score_map.window
        area = len(window) == 4 and np.isfinite(window).all() and window[2] > window[0] and window[3] > window[1]
        if not area:
            raise EvalError(f"{truth.id}: the map's window {tuple(window)} has no area; expected x0, y0, x1, y1")
        ranked = self._ranked(score_map, truth)
        values = self._checked(score_map)
        runs = self.tracer(values, truth, window) if self.boxes else (None, None)
        counted = masks.count_pixels(values, truth, window, self.settings) if self.masks else None
        shown = values[masks.inside_image(values.shape, window, truth.size)]  # some, or there was an error
        low, high = float(shown.min()), float(shown.max())
        return _Found(
            id=truth.id,
            window=window,
            shape=values.shape,
            size=truth.size,
            largest=runs[0],
            any=runs[1],
            ranked=ranked,
            baseline=baselines.box_ious(truth) if self.boxes else None,
            pixels=counted,
            shifted=abs(low) > _SHIFT * max(high, 0),
            silent=self._silent(low, high),
        )

    def _checked(self, score_map: ScoreMap) -> np.ndarray:
        """The map; the tracer checks it, where there is one."""
        values = score_map.values
        if not isinstance(values, np.ndarray):
            raise EvalError(f"{score_map.id}: a score map of type {type(values).__name__}, expected an array [H, W]")
        if not self.masks:
            return values
        from eval.localization.levels import checked  # numba

        return checked(values, score_map.id)

    def _silent(self, low: float, high: float) -> bool:
        if self.settings.geometry == "compat":
            return low == high or (self.boxes and high * 255 < 1)  # masks are not cut down to 8 bits
        return low >= high or (self.settings.scale == "max" and high <= 0)

    def _ranked(self, score_map: ScoreMap, truth: Truth) -> tuple[bool, bool, int]:
        """Of this map; EvalError where some images have classes and others not, unless that is let through."""
        ranked = _ranked(score_map, truth)
        known = ranked[2] > 0
        self._first = self._first or (truth.id, known)
        if known != self._first[1] and not self.skip_bad:
            some, others = (truth.id, self._first[0]) if known else (self._first[0], truth.id)
            raise EvalError(f"{truth.id}: label and predicted classes are known of {some}, but not of {others}")
        return ranked

    def _truth(self, name: str) -> Truth:
        truth = self.truths.get(name)
        if truth is None:
            raise EvalError(f"{name}: a score map, but no such image in the metadata of {len(self.truths)} images")
        if name in self.seen:
            raise EvalError(f"{name}: a second score map of the same image")
        self.seen.add(name)
        if min(truth.size) <= 0:
            if truth.masks:  # the size was to be the first one's: what is wrong with it is what there is to say
                masks.read_masks(truth, None, self.settings.geometry)
            raise EvalError(f"{name}: an image of size {truth.size}; expected a width and height above 0")
        if truth.boxes.ndim != 2 or truth.boxes.shape[1] != 4 or not np.isfinite(truth.boxes).all():
            raise EvalError(f"{name}: boxes {truth.boxes.tolist()}, expected x0, y0, x1, y1 of each")
        if self.settings.geometry == "compat" and (truth.boxes < [0, 0, 1, 1]).any():
            raise EvalError(f"{name}: boxes {truth.boxes.tolist()}; compat takes no corner below 0, as wsolevaluation")
        for asked, there, what in (
            (self.boxes, len(truth.boxes) > 0, "boxes"),
            (self.masks, len(truth.masks) > 0, "masks"),
            (not self.boxes and not self.masks, False, "boxes and no masks"),
        ):
            if asked and not there:
                raise EvalError(f"{name}: no {what} in the metadata, expected at least one")
        return truth


def _ranked(score_map: ScoreMap, truth: Truth) -> tuple[bool, bool, int]:
    """Whether the class is first, whether it is among five, and of how many we know; 0: not known."""
    if truth.label is None or score_map.ranked is None or not len(score_map.ranked):
        return False, False, 0
    ranked = [int(label) for label in score_map.ranked]
    if truth.label < 0 or min(ranked) < 0:
        raise EvalError(f"{truth.id}: label {truth.label}, predicted {ranked[:5]}; expected classes from 0")
    return truth.label == ranked[0], truth.label in ranked[:5], len(ranked)


def _part(found: Sequence[_Found], skipped: Sequence[tuple[str, str]], settings: Settings) -> Part:
    counted = [entry.pixels for entry in found if entry.pixels is not None]
    base = [entry.baseline for entry in found if entry.baseline is not None]
    width = len(masks.thresholds(settings))
    return Part(
        ids=tuple(entry.id for entry in found),
        windows=np.array([entry.window for entry in found], np.float64).reshape(-1, 4),
        shapes=np.array([entry.shape for entry in found], np.int32).reshape(-1, 2),
        sizes=np.array([entry.size for entry in found], np.int32).reshape(-1, 2),
        largest=join([entry.largest for entry in found if entry.largest is not None]),
        any=join([entry.any for entry in found if entry.any is not None]),
        right=np.array([entry.ranked[:2] for entry in found], bool).reshape(-1, 2),
        ranks=np.array([entry.ranked[2] for entry in found], np.int32),
        whole_iou=np.array([entry[0] for entry in base], np.float64),
        centre_iou=np.array([entry[1] for entry in base], np.float64).reshape(-1, baselines.SIDES),
        inside=_table([entry.inside for entry in counted], width),
        outside=_table([entry.outside for entry in counted], width),
        pixels=np.array([entry.total for entry in counted], np.float64),
        centre_inside=_table([entry.centre_inside for entry in counted], baselines.RINGS),
        centre_outside=_table([entry.centre_outside for entry in counted], baselines.RINGS),
        skipped=tuple(skipped),
        shifted=sum(entry.shifted for entry in found),
        silent=tuple(entry.id for entry in found if entry.silent),
    )


def _table(rows: Sequence[np.ndarray], width: int) -> np.ndarray:
    return np.array(rows, np.uint32).reshape(-1, width)
