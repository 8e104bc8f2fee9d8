"""A picture: a setting, clutter, and objects placed so that each can still be seen.

Drawn FINER times as fine as the image, then averaged down. Boxes are computed from the pixels that can be seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from core.data.synthetic import backgrounds
from core.data.synthetic.species import Part, Species
from core.data.synthetic.sprites import Look, Mask, Pixels, Sprite, as_pixels, draw

FINER = 2
"""Canvas pixels per image pixel along a side."""

_TRIES = 12  # places tried for an object before it is given up


@dataclass(frozen=True)
class Wanted:
    """An object to place."""

    species: Species
    length: float
    """Longer side in image pixels."""
    colour: str | None = None
    """Body colour; None: drawn from the species' own or any."""


@dataclass(frozen=True)
class Placed:
    """An object in the finished picture; boxes are x0, y0, x1, y1 in image pixels, half-open."""

    species: Species
    colour: str
    box: tuple[int, int, int, int]
    """Around what can be seen of the object."""
    part: tuple[int, int, int, int] | None
    """Around what can be seen of the part; None: hidden."""
    visible: float
    """Fraction of the object that is inside the image and not covered."""


@dataclass(frozen=True)
class Scene:
    """A finished picture."""

    pixels: Pixels  # [H, W, 3]
    setting: str
    objects: tuple[Placed, ...]


@dataclass(frozen=True)
class Style:
    """How hard a data set's pictures are."""

    look: Look
    clutter: int
    """Most shapes in the background."""
    stray: float
    """Probability of a part without a body in the background."""
    strays: tuple[Part, ...]
    """The parts that these are drawn from."""
    least_visible: float
    """Smallest fraction that every object keeps in sight."""


def compose(
    wanted: Sequence[Wanted], size: tuple[int, int], style: Style, rng: np.random.Generator, setting: str | None = None
) -> Scene:
    """Draw the objects, the first one furthest away, into an image of (width, height).

    An object for which there is no place is left out; the first is always there.
    """
    setting = setting or str(rng.choice(list(backgrounds.SETTINGS)))
    fine = (size[0] * FINER, size[1] * FINER)
    pixels = backgrounds.background(setting, fine, rng)
    backgrounds.clutter(pixels, int(rng.integers(style.clutter // 2, style.clutter + 1)), rng)
    if rng.random() < style.stray:
        radius = min(fine) * rng.uniform(0.05, 0.1)
        backgrounds.stray_part(pixels, style.strays[int(rng.integers(len(style.strays)))], radius, rng)
    owner = np.full((fine[1], fine[0]), -1, np.int8)
    drawn: list[tuple[Wanted, Sprite, Mask]] = []
    for item in wanted:
        avoid = backgrounds.CAMOUFLAGE[setting]
        sprite = draw(item.species, item.length * FINER, style.look, rng, colour=item.colour, avoid=avoid)
        spot = _spot(sprite, owner, [int(entry[1].mask.sum()) for entry in drawn], style.least_visible, rng)
        if spot is not None:
            drawn.append((item, sprite, _paste(sprite, spot, len(drawn), pixels, owner)))
    backgrounds.twigs(pixels, int(rng.integers(0, 3)), rng)
    objects = [_placed(item, sprite, owner == index, part) for index, (item, sprite, part) in enumerate(drawn)]
    return Scene(_photograph(pixels, size, rng), setting, tuple(objects))


def _spot(
    sprite: Sprite, owner: npt.NDArray[np.int8], areas: Sequence[int], least: float, rng: np.random.Generator
) -> tuple[int, int] | None:
    """A top left corner where the sprite and all earlier objects (of these whole areas) keep `least` in sight."""
    height, width = owner.shape
    tall, across = sprite.mask.shape
    beyond = min(1 - least, 0.4)  # fraction of a side that may leave the image
    before = np.bincount(owner[owner >= 0], minlength=len(areas))
    for _ in range(_TRIES):
        x = int(rng.uniform(-beyond * across, max(width - (1 - beyond) * across, -beyond * across + 1)))
        y = int(rng.uniform(-beyond * tall, max(height - (1 - beyond) * tall, -beyond * tall + 1)))
        here, there = _overlap((x, y), sprite.mask.shape, owner.shape)
        seen = sprite.mask[there]
        if seen.sum() < least * sprite.mask.sum():
            continue
        covered = owner[here][seen]
        left = before - np.bincount(covered[covered >= 0], minlength=len(areas))
        if all(rest >= least * area for rest, area in zip(left, areas, strict=True)):
            return x, y
    return None if areas else ((width - across) // 2, (height - tall) // 2)


def _overlap(
    corner: tuple[int, int], sprite: tuple[int, ...], canvas: tuple[int, ...]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The window that a sprite covers, in the canvas's and in the sprite's own rows and columns."""
    x, y = corner
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + sprite[0], canvas[0]), min(x + sprite[1], canvas[1])
    return (slice(top, bottom), slice(left, right)), (slice(top - y, bottom - y), slice(left - x, right - x))


def _paste(sprite: Sprite, spot: tuple[int, int], index: int, pixels: Pixels, owner: npt.NDArray[np.int8]) -> Mask:
    """Draw the sprite onto the canvas; return where on the canvas its part is."""
    here, there = _overlap(spot, sprite.mask.shape, owner.shape)
    mask = sprite.mask[there]
    pixels[here][mask] = sprite.pixels[there][mask]
    owner[here][mask] = index
    part = np.zeros(owner.shape, bool)
    part[here] = sprite.part[there]
    return part


def _placed(item: Wanted, sprite: Sprite, seen: Mask, part: Mask) -> Placed:
    box = _box(seen)
    assert box is not None, "an object keeps some of its pixels in sight"
    return Placed(item.species, sprite.colour, box, _box(seen & part), float(seen.sum() / sprite.mask.sum()))


def _box(mask: Mask) -> tuple[int, int, int, int] | None:
    """The smallest box, in image pixels, around the image pixels that the canvas mask mostly covers; None: no pixel."""
    size = (mask.shape[1] // FINER, mask.shape[0] // FINER)
    coverage = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    rows, columns = (np.flatnonzero((coverage >= 0.5).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _photograph(pixels: Pixels, size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    """Average down to the image's (width, height), with another exposure and some noise."""
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    exposed = (small - 128) * np.float32(rng.uniform(0.75, 1.15)) + np.float32(128 + rng.uniform(-18, 18))
    return as_pixels(exposed + 5 * rng.standard_normal(small.shape, dtype=np.float32))
