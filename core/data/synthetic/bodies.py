"""The silhouettes of the families, as polygons in a unit frame: x to the right (the object's front), y downwards.

Each call draws one individual: proportions vary from one to the next.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from core.data.synthetic.species import RGB

Points = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True)
class Piece:
    """A filled polygon of the body."""

    points: Points  # [n, 2]
    tone: float = 1.0
    """Factor on the body's colour."""
    colour: RGB | None = None
    """A colour of its own, without the body's texture (wheels, windows, leaves, beaks)."""


@dataclass(frozen=True)
class Body:
    """Polygons in painting order, and where the part sits on top of them."""

    pieces: tuple[Piece, ...]
    part: tuple[float, float]
    """Centre of the part."""
    radius: float
    """Half the part's extent."""
    corners: int = 24
    """Corners of the part's outline: many for a disc, 4 for a square."""


def ellipse(x: float, y: float, across: float, down: float, turn: float = 0.0, corners: int = 24) -> Points:
    """The outline of an ellipse with these radii, turned by `turn` degrees, as [corners, 2]."""
    return _circle(corners) @ (np.array([[across], [down]]) * rotation(turn)) + (x, y)


@lru_cache(maxsize=32)
def _circle(corners: int) -> Points:
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False) + np.pi / corners
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def rotation(degrees: float) -> Points:
    """The matrix that turns row vectors [n, 2]."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cos, sin], [-sin, cos]])


def _polygon(*corners: tuple[float, float]) -> Points:
    return np.array(corners, dtype=float)


def _bird(rng: np.random.Generator) -> Body:
    plump, tail, leg = rng.uniform(0.34, 0.5), rng.uniform(-0.25, 0.3), rng.uniform(0.65, 0.95)
    legs = [Piece(_polygon((x, 0.2), (x + 0.08, 0.2), (x + 0.12, leg), (x - 0.02, leg)), 0.45) for x in (-0.12, 0.14)]
    x, y = rng.uniform(0.5, 0.66), rng.uniform(-0.56, -0.34)
    return Body(
        pieces=(
            *legs,
            Piece(_polygon((-0.45, -0.2), (-1.2, tail), (-1.1, tail + 0.32), (-0.4, 0.22)), 0.8),
            Piece(_polygon((x - 0.25, y + 0.1), (x + 0.2, y + 0.1), (0.55, 0.1), (0.1, -0.15))),
            Piece(ellipse(0, 0, 0.68, plump, 14)),
            Piece(ellipse(-0.16, -0.02, 0.4, plump * 0.5, rng.uniform(-25, 5)), 0.62),
            Piece(_polygon((x + 0.2, y - 0.12), (x + 0.58, y + 0.03), (x + 0.2, y + 0.15)), colour=(225, 160, 60)),
        ),
        part=(x, y),
        radius=0.29,
    )


def _cat(rng: np.random.Generator) -> Body:
    girth, leg, x, y = rng.uniform(0.28, 0.4), rng.uniform(0.6, 0.85), rng.uniform(0.72, 0.86), rng.uniform(-0.5, -0.25)
    legs = [
        Piece(_polygon((at, 0.0), (at + 0.2, 0.0), (at + 0.17, leg), (at + 0.03, leg)), tone)
        for at, tone in ((-0.62, 0.6), (0.28, 0.6), (-0.42, 0.9), (0.46, 0.9))
    ]
    up = rng.uniform(-0.95, -0.45)
    ears = [Piece(_polygon((x + s * 0.04, y - 0.2), (x + s * 0.27, y - 0.5), (x + s * 0.3, y)), 0.75) for s in (-1, 1)]
    return Body(
        pieces=(
            *legs,
            Piece(_polygon((-0.6, -0.2), (-1.0, up), (-1.14, up + 0.04), (-0.95, -0.1), (-0.6, 0.1)), 0.8),
            Piece(_polygon((0.3, -0.25), (x, y - 0.1), (x + 0.1, y + 0.2), (0.55, 0.2))),
            Piece(ellipse(0, 0, 0.76, girth)),
            *ears,
        ),
        part=(x, y),
        radius=0.3,
    )


def _car(rng: np.random.Generator) -> Body:
    roof, front, back = rng.uniform(-0.62, -0.42), rng.uniform(0.3, 0.5), rng.uniform(-0.6, -0.35)
    hull = _polygon((-1, 0.38), (-1, -0.02), (back - 0.2, -0.1), (back, roof), (front, roof), (front + 0.3, -0.06))
    window = _polygon(
        (back - 0.06, -0.12), (back + 0.06, roof + 0.1), (front - 0.04, roof + 0.1), (front + 0.14, -0.12)
    )
    wheels = [Piece(ellipse(x, 0.4, 0.22, 0.22), colour=(38, 38, 42)) for x in (-0.58, 0.6)]
    hubs = [Piece(ellipse(x, 0.4, 0.09, 0.09, corners=8), colour=(170, 170, 175)) for x in (-0.58, 0.6)]
    return Body(
        pieces=(
            Piece(np.concatenate([hull, _polygon((1, 0.04), (1.02, 0.38))])),
            Piece(window, colour=(190, 215, 230)),
            *wheels,
            *hubs,
        ),
        part=(rng.uniform(-0.1, 0.12), 0.15),
        radius=0.25,
        corners=6,
    )


def _boat(rng: np.random.Generator) -> Body:
    top, bow, stern = rng.uniform(-0.95, -0.7), rng.uniform(0.55, 0.85), rng.uniform(-0.85, -0.5)
    return Body(
        pieces=(
            Piece(_polygon((-0.04, top), (0.04, top), (0.05, 0.3), (-0.05, 0.3)), 0.4),
            Piece(_polygon((0.07, top + 0.15), (bow, 0.12), (0.07, 0.16)), 0.85),
            Piece(_polygon((-0.07, top + 0.3), (-0.07, 0.16), (stern, 0.12)), 0.65),
            Piece(_polygon((-1, 0.2), (1.05, 0.2), (0.72, 0.66), (-0.7, 0.66))),
        ),
        part=(0.0, top),
        radius=0.27,
        corners=4,
    )


def _aeroplane(rng: np.random.Generator) -> Body:
    sweep, near, far = rng.uniform(-0.7, -0.3), rng.uniform(0.6, 0.9), rng.uniform(-0.75, -0.5)
    fin = rng.uniform(-0.75, -0.45)
    return Body(
        pieces=(
            Piece(_polygon((0.2, -0.05), (sweep + 0.1, far), (sweep - 0.1, far), (-0.25, -0.05)), 0.6),
            Piece(ellipse(0, 0, 1.0, 0.2)),
            Piece(_polygon((-0.6, -0.08), (-0.95, fin), (-1.12, fin), (-0.98, -0.02)), 0.8),
            Piece(_polygon((0.25, 0.05), (sweep + 0.12, near), (sweep - 0.12, near), (-0.25, 0.08)), 0.8),
        ),
        part=(rng.uniform(0.7, 0.82), 0.0),
        radius=0.26,
    )


def _pottedplant(rng: np.random.Generator) -> Body:
    leaves = []
    for turn in np.linspace(-75, 75, int(rng.integers(5, 8))) + rng.uniform(-8, 8):
        reach = rng.uniform(0.4, 0.55)
        x, y = np.sin(np.radians(turn)) * reach, 0.3 - np.cos(np.radians(turn)) * reach
        green = (int(rng.integers(35, 70)), int(rng.integers(105, 160)), int(rng.integers(35, 75)))
        leaves.append(Piece(ellipse(x, y, 0.14, reach, turn), colour=green))
    tall = rng.uniform(-0.85, -0.6)
    wide, deep = rng.uniform(0.38, 0.55), rng.uniform(0.9, 1.15)
    return Body(
        pieces=(
            Piece(_polygon((-0.05, tall), (0.05, tall), (0.05, 0.4), (-0.05, 0.4)), colour=(60, 110, 50)),
            *leaves,
            Piece(_polygon((-wide, 0.35), (wide, 0.35), (wide * 0.7, deep), (-wide * 0.7, deep))),
            Piece(_polygon((-wide - 0.07, 0.24), (wide + 0.07, 0.24), (wide + 0.07, 0.4), (-wide - 0.07, 0.4)), 0.75),
        ),
        part=(0.0, tall),
        radius=0.29,
        corners=8,
    )


BODIES: dict[str, Callable[[np.random.Generator], Body]] = {
    "bird": _bird,
    "cat": _cat,
    "car": _car,
    "boat": _boat,
    "aeroplane": _aeroplane,
    "pottedplant": _pottedplant,
}
"""One individual of a family, by its name in `species.FAMILIES`."""
