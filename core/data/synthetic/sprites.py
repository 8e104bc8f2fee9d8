"""One object on its own: body, texture, light, outline and part, as pixels with masks.

H and W are the sprite's size in canvas pixels, which are finer than the image's (see `scenes.FINER`).
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from core.data.synthetic.bodies import BODIES, Body, Points, ellipse, rotation
from core.data.synthetic.species import COLOURS, RGB, TEXTURES, Part, Species

Pixels = npt.NDArray[np.uint8]  # [H, W, 3], RGB
Mask = npt.NDArray[np.bool_]  # [H, W]
Floats = npt.NDArray[np.float32]

_MARGIN = 2


@dataclass(frozen=True)
class Sprite:
    """A drawn object."""

    pixels: Pixels  # [H, W, 3]
    mask: Mask  # [H, W], the whole object
    part: Mask  # [H, W], the part alone; empty where it is hidden
    colour: str
    """The body's colour, a key of `species.COLOURS`."""


@dataclass(frozen=True)
class Look:
    """How strongly body and part tell the class."""

    body_hint: float
    """Probability that the body wears the class's own texture, and (independently) colour, instead of any."""
    hidden_part: float
    """Probability that the part is turned away: a patch of the body's colour, without the pattern."""


def draw(
    species: Species,
    length: float,
    look: Look,
    rng: np.random.Generator,
    *,
    colour: str | None = None,
    avoid: tuple[str, ...] = (),
) -> Sprite:
    """One individual whose longer side measures about `length` canvas pixels.

    `colour` fixes the body's colour; without it, the body has none of the colours in `avoid`.
    """
    texture = species.texture if rng.random() < look.body_hint else str(rng.choice(TEXTURES))
    drawn = species.colour if rng.random() < look.body_hint else ""
    free = [name for name in COLOURS if name not in avoid]
    other = str(rng.choice(free))
    colour = colour or (drawn if drawn in free else other)
    hidden = rng.random() < look.hidden_part
    body = BODIES[species.family](rng)
    place, size = _frame(body, length, rng)

    base = jitter(COLOURS[colour], 14, rng)
    pixels, mask = _paint_body(body, place, size, base, texture, rng)
    turn = 90.0 if body.corners == 4 else 0.0
    outline = place(ellipse(*body.part, body.radius, body.radius, turn, body.corners))
    if hidden:
        part = fill(size, outline)
        pixels[part] = (base * 0.7).astype(np.uint8)
    else:
        part = stamp(pixels, outline, species.part, rng)
    mask |= part
    return Sprite(_outlined(pixels, mask), mask, part & (not hidden), colour)


def jitter(colour: RGB, amount: float, rng: np.random.Generator) -> Floats:
    """The colour, moved by normal errors in each channel and (of deviation `amount`) in common, as float32 [3]."""
    common, *own = rng.standard_normal(4) * amount
    moved = (colour[0] + common + 0.6 * own[0], colour[1] + common + 0.6 * own[1], colour[2] + common + 0.6 * own[2])
    return np.array([min(max(value, 0), 255) for value in moved], np.float32)


def _frame(body: Body, length: float, rng: np.random.Generator) -> tuple["_Place", tuple[int, int]]:
    """A pose (turned, sheared, stretched, mirrored) and the sprite's (width, height) that holds it."""
    pose = np.diag([rng.uniform(0.85, 1.15), rng.uniform(0.85, 1.15)]) @ rotation(rng.uniform(-14, 14))
    pose[1, 0] += rng.uniform(-0.12, 0.12)
    if rng.random() < 0.5:
        pose[:, 0] *= -1
    part = ellipse(*body.part, body.radius, body.radius)
    corners = np.concatenate([piece.points for piece in body.pieces] + [part]) @ pose
    low, high = corners.min(axis=0), corners.max(axis=0)
    zoom = length / float((high - low).max())
    width, height = (np.ceil((high - low) * zoom) + 2 * _MARGIN).astype(int)
    return _Place(pose * zoom, _MARGIN - low * zoom), (int(width), int(height))


@dataclass(frozen=True)
class _Place:
    """From the unit frame of `bodies` to a sprite's pixels."""

    matrix: Points  # [2, 2]
    offset: Points  # [2]

    def __call__(self, points: Points) -> Points:
        return points @ self.matrix + self.offset


def fill(size: tuple[int, int], points: Points) -> Mask:
    """The polygon's pixels in a canvas of (width, height)."""
    canvas = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillPoly(canvas, [np.round(points * 16).astype(np.int32)], 1, shift=4)
    return canvas.astype(bool)


def extent(points: Points, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The window x0, y0, x1, y1 (half-open) of a canvas of (width, height) that holds the polygon's pixels."""
    low, high = points.min(axis=0), points.max(axis=0)
    x0, y0 = (min(max(int(value), 0), side) for value, side in zip(low, size, strict=True))
    x1, y1 = (min(max(int(value) + 2, 0), side) for value, side in zip(high, size, strict=True))
    return x0, y0, x1, y1


def _paint_body(
    body: Body, place: _Place, size: tuple[int, int], base: Floats, texture: str, rng: np.random.Generator
) -> tuple[Pixels, Mask]:
    skin = base + (_second(base) - base) * texture_on(size, texture, rng)[..., None]
    pixels = np.zeros((size[1], size[0], 3), np.float32)
    mask = np.zeros((size[1], size[0]), bool)
    for piece in body.pieces:
        inside = fill(size, place(piece.points))
        pixels[inside] = skin[inside] * piece.tone if piece.colour is None else jitter(piece.colour, 8, rng)
        mask |= inside
    right, down = coordinates(size)
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 + 0.45 * (np.cos(angle) * (right - right.mean()) + np.sin(angle) * (down - down.mean()))
    return as_pixels(pixels * light[..., None]), mask


def _second(base: Floats) -> Floats:
    """The other colour of a body's texture: darker, or lighter where the first one is dark."""
    return base * np.float32(0.55) if base.mean() > 110 else base + np.float32(70)


def as_pixels(values: Floats) -> Pixels:
    """Colours as uint8, clipped to 0 to 255."""
    return values.clip(0, 255).astype(np.uint8)


def coordinates(size: tuple[int, int]) -> tuple[Floats, Floats]:
    """x as [1, W] and y as [H, 1], in fractions of the longer side of (width, height)."""
    longer = np.float32(max(size))
    return np.arange(size[0], dtype=np.float32)[None] / longer, np.arange(size[1], dtype=np.float32)[:, None] / longer


def texture_on(size: tuple[int, int], kind: str, rng: np.random.Generator, zoom: float = 1.0) -> Floats:
    """How much of the second colour each pixel of (width, height) has, 0 to 1, as [H, W]."""
    amount = np.zeros((size[1], size[0]), np.float32)
    if kind == "plain":
        return amount
    if kind == "mottled":
        coarse = rng.random((9, 9), dtype=np.float32)
        amount[:] = np.clip(cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR) * 1.6 - 0.3, 0, 1)
        return amount
    right, down = coordinates(size)
    angle, phase, turns = rng.uniform(0, np.pi), rng.uniform(0, 6), rng.uniform(28, 44) / zoom
    along = np.sin((np.cos(angle) * right + np.sin(angle) * down) * turns + phase)
    if kind == "stripes":
        amount[along > 0.2] = 1
        return amount
    across = np.sin((np.cos(angle) * down - np.sin(angle) * right) * turns + phase)
    assert kind in ("spots", "checks"), kind
    amount[along + across > 1.0 if kind == "spots" else along * across > 0] = 1
    return amount


def stamp(pixels: Pixels, outline: Points, part: Part, rng: np.random.Generator) -> Mask:
    """Draw the part within its outline onto pixels [H, W, 3]; return where it is, as [H, W]."""
    height, width = pixels.shape[:2]
    mask = fill((width, height), outline)
    centre = outline.mean(axis=0)
    radius = float(np.sqrt(((outline - centre) ** 2).sum(axis=1)).mean())
    x0, y0, x1, y1 = extent(outline, (width, height))
    right, down = np.arange(x0, x1)[None] + 0.5 - centre[0], np.arange(y0, y1)[:, None] + 0.5 - centre[1]
    turn = rotation(rng.uniform(-20, 20)) / radius
    second = _pattern(part.pattern, right * turn[0, 0] + down * turn[1, 0], right * turn[0, 1] + down * turn[1, 1])
    colours = [jitter(colour, 10, rng) for colour in part.colours]
    window, inside = pixels[y0:y1, x0:x1], mask[y0:y1, x0:x1]
    window[inside] = as_pixels(np.where(second[..., None], colours[1], colours[0]))[inside]
    return mask


def _pattern(kind: str, x: Points, y: Points) -> Mask:
    """Where the part shows its second colour; coordinates are fractions of the part's radius."""
    square = x * x + y * y
    match kind:
        case "halves":
            return x > 0
        case "dot":
            return square < 0.25
        case "cross":
            return (np.abs(x) < 0.24) | (np.abs(y) < 0.24)
        case "stripes":
            return np.abs(np.abs(x) - 0.5) < 0.22
        case "ring":
            return (square > 0.14) & (square < 0.5)
        case _:
            assert kind == "quarters", kind
            return x * y > 0


def _outlined(pixels: Pixels, mask: Mask) -> Pixels:
    """The object with a dark rim, which tells it from the clutter."""
    solid = mask.astype(np.uint8)
    rim = mask & (cv2.erode(solid, np.ones((3, 3), np.uint8), borderValue=0) == 0)
    pixels[rim] = (pixels[rim] * 0.35).astype(np.uint8)
    return pixels
