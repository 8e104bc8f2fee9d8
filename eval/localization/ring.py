"""What a pixel's eight neighbours say when it joins a mask: 256 cases, worked out once.

Bit k of a ring is set where neighbour k is in the mask already. The neighbours stand clockwise from north, so bits 0,
2, 4 and 6 are the four that share an edge. When pixels join one by one, everything that a component needs to know of
its shape changes by an amount that this ring alone decides.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

OFFSETS = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
"""(dy, dx) of the neighbours N, NE, E, SE, S, SW, W, NW."""


@dataclass(frozen=True, eq=False)
class Rings:
    """Tables over the 256 rings, for one connectivity."""

    groups: np.ndarray
    """[256] uint8: how many groups the neighbours in the mask form that are connected among themselves."""
    first: np.ndarray
    """[256, 4] uint8: one neighbour of each group; a new pixel is joined to the component of each."""
    near: np.uint8
    """The bits of the neighbours that a pixel can be joined to: where none is set, it founds a component."""
    gain: np.ndarray
    """[256] int64: area * 2**32 + euler, what the pixel adds to a component's area, in the units that a rule counts in,
    and to its Euler number (1 - holes): two sums in one, since this is added once a pixel."""

    @property
    def tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.uint8]:
        """As compiled code takes them."""
        return self.groups, self.first, self.gain, self.near


@cache
def components() -> Rings:
    """8-connected components; area in pixels, Euler number not counted."""
    return Rings(*_groups(8), np.uint8(0xFF), np.full(256, 1 << 32))


@cache
def contours() -> Rings:
    """8-connected components; area of the polygon through the centres of the pixels, in half pixels.

    Of a 2 x 2 block of pixels the polygon holds a whole pixel's area where all four are in the mask, half of it where
    three are, else none: so a pixel adds half of one for each block that had two or three of the other three.
    """
    others = [[bool(ring >> k & 1) + bool(ring >> (k + 1) & 1) + bool(ring >> (k + 2) % 8 & 1) for k in (0, 2, 4, 6)]
              for ring in range(256)]  # fmt: skip
    area = np.array([sum(n >= 2 for n in blocks) for blocks in others])
    return Rings(*_groups(8), np.uint8(0xFF), (area << 32) + _euler())


@cache
def holes() -> Rings:
    """4-connected components of what is not in the mask."""
    return Rings(*_groups(4), np.uint8(0x55), np.zeros(256, np.int64))


def _groups(connectivity: int) -> tuple[np.ndarray, np.ndarray]:
    counts, first = np.zeros(256, np.uint8), np.zeros((256, 4), np.uint8)
    for ring in range(256):
        left = {k for k in range(8) if ring >> k & 1}
        while left:
            group = {min(left)}
            while more := {b for b in left - group if any(_touch(a, b, connectivity) for a in group)}:
                group |= more
            left -= group
            touching = [k for k in group if connectivity == 8 or k % 2 == 0]
            if touching:
                first[ring, counts[ring]] = min(touching)
                counts[ring] += 1
    return counts, first


def _touch(one: int, two: int, connectivity: int) -> bool:
    dy, dx = (abs(a - b) for a, b in zip(OFFSETS[one], OFFSETS[two], strict=True))
    return max(dy, dx) == 1 if connectivity == 8 else dy + dx == 1


def _euler() -> np.ndarray:
    """1 - groups; a pixel whose four edges are all taken closes a hole instead."""
    counts, _ = _groups(8)
    closes = np.array([ring & 0b01010101 == 0b01010101 for ring in range(256)])
    return np.asarray(1 - counts.astype(np.int64) + closes)
