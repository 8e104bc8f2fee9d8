"""What objects stand on: six settings that captions name, with clutter that is no object.

H and W are the canvas's size; colours are RGB, 0 to 255.
"""

import cv2
import numpy as np

from core.data.synthetic.bodies import Points, ellipse
from core.data.synthetic.species import COLOURS, RGB, Part
from core.data.synthetic.sprites import Floats, Pixels, as_pixels, coordinates, extent, fill, jitter, stamp, texture_on

SETTINGS: dict[str, tuple[RGB, RGB]] = {
    "grass": ((75, 140, 55), (130, 180, 90)),
    "sand": ((220, 195, 140), (190, 160, 110)),
    "water": ((50, 120, 170), (110, 175, 205)),
    "snow": ((225, 232, 240), (190, 205, 220)),
    "wall": ((165, 95, 75), (200, 185, 175)),
    "night": ((25, 28, 55), (55, 55, 95)),
}
"""Name -> its two colours."""

CAMOUFLAGE: dict[str, tuple[str, ...]] = {
    "grass": ("green",),
    "sand": ("yellow", "orange"),
    "water": ("blue",),
    "snow": ("white", "gray"),
    "wall": ("brown", "red"),
    "night": ("black", "purple"),
}
"""Setting -> the body colours that would hardly be seen there."""

_COLOURS = tuple(COLOURS.values())


def background(setting: str, size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    """An empty place of (width, height): uneven ground, the setting's own texture, grain."""
    first, second = (jitter(colour, 12, rng) for colour in SETTINGS[setting])
    amount = _detail(setting, size, rng) * np.float32(0.35)
    amount += cv2.resize(_grain(4, 4, rng) * np.float32(0.5), size, interpolation=cv2.INTER_CUBIC)
    amount += cv2.resize(_grain(11, 11, rng) * np.float32(0.3), size, interpolation=cv2.INTER_CUBIC)
    pixels: Floats = first + (second - first) * amount[..., None]
    if rng.random() < 0.5:  # another light above a horizon
        pixels[: int(size[1] * rng.uniform(0.15, 0.5))] *= np.float32(rng.uniform(0.75, 1.3))
    return as_pixels(pixels)


def _grain(height: int, width: int, rng: np.random.Generator) -> Floats:
    return rng.random((height, width), dtype=np.float32)


def _detail(setting: str, size: tuple[int, int], rng: np.random.Generator) -> Floats:
    """The setting's own texture, [H, W], about 0 to 1."""
    width, height = size
    right, down = coordinates(size)
    phase, turns = rng.uniform(0, 6), rng.uniform(30, 50)
    detail = np.zeros((height, width), np.float32)
    match setting:
        case "water":
            detail[:] = np.sin(down * turns * 1.5 + np.sin(right * 9 + phase) * 1.2) * 0.5 + 0.5
        case "wall":
            row = np.floor(down * turns / 4)
            detail[(down * turns / 4 - row < 0.2) | ((right * turns / 8 + row / 2 + phase) % 1 < 0.1)] = 1.6
        case "night":
            stars = (_grain(height // 2, width // 2, rng) > 0.985).astype(np.float32) * 6
            cv2.resize(stars, size, dst=detail, interpolation=cv2.INTER_NEAREST)
        case "grass":
            cv2.resize(_grain(height // 6, width // 2, rng), size, dst=detail, interpolation=cv2.INTER_LINEAR)
        case _:
            cv2.resize(_grain(height // 2, width // 2, rng), size, dst=detail, interpolation=cv2.INTER_LINEAR)
    return detail


def clutter(pixels: Pixels, pieces: int, rng: np.random.Generator) -> None:
    """Draw textured shapes into the picture that belong to no family."""
    height, width = pixels.shape[:2]
    for _ in range(pieces):
        points = _shape(rng) * rng.uniform(0.06, 0.2) * max(width, height) + rng.uniform(0, 1, 2) * (width, height)
        x0, y0, x1, y1 = extent(points, (width, height))
        if x1 - x0 < 2 or y1 - y0 < 2:
            continue
        size = (x1 - x0, y1 - y0)
        inside = fill(size, points - (x0, y0))
        kind = ("plain", "stripes", "mottled")[int(rng.integers(3))]
        colour = jitter(_COLOURS[int(rng.integers(len(_COLOURS)))], 25, rng)
        amount = texture_on(size, kind, rng, zoom=2.5)[inside, None] * np.float32(0.5)
        pixels[y0:y1, x0:x1][inside] = colour + (90 - colour) * amount


def _shape(rng: np.random.Generator) -> Points:
    """A random outline of radius about 1: pebble, shard or stick."""
    kind = rng.integers(3)
    if kind == 0:
        return ellipse(0, 0, 1, rng.uniform(0.4, 1), rng.uniform(0, 180))
    if kind == 1:
        angle = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 7))))
        return np.stack([np.cos(angle), np.sin(angle)], axis=1) * rng.uniform(0.6, 1.2, (len(angle), 1))
    return ellipse(0, 0, 2.2, rng.uniform(0.06, 0.2), rng.uniform(0, 180), corners=4)


def stray_part(pixels: Pixels, part: Part, radius: float, rng: np.random.Generator) -> None:
    """Draw a part that sits on no body: whoever looks for parts alone is misled."""
    height, width = pixels.shape[:2]
    x, y = (float(rng.uniform(radius, max(side - radius, radius + 1))) for side in (width, height))
    stamp(pixels, ellipse(x, y, radius, radius, corners=(4, 6, 24)[int(rng.integers(3))]), part, rng)


def twigs(pixels: Pixels, count: int, rng: np.random.Generator) -> None:
    """Draw thin lines in front of everything."""
    height, width = pixels.shape[:2]
    for _ in range(count):
        ends = rng.uniform(0, 1, (2, 2)) * (width, height)
        shade = tuple(int(value) for value in jitter((85, 70, 55), 25, rng))
        cv2.line(pixels, ends[0].astype(int).tolist(), ends[1].astype(int).tolist(), shade, int(rng.integers(1, 4)))
