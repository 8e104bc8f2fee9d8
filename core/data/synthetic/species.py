"""What there is to see: colours, parts, and species = a family's body with a part of its own.

The part is small and tells the class alone. The body is large and tells the family; its colour and texture only hint at
the class (`World.body_hint`). So whoever looks at the part alone classifies well and localizes badly.
"""

from dataclasses import dataclass
from itertools import permutations

from core.errors import UserError

RGB = tuple[int, int, int]

COLOURS: dict[str, RGB] = {
    "red": (205, 45, 40),
    "orange": (235, 130, 35),
    "yellow": (235, 210, 50),
    "green": (55, 150, 60),
    "blue": (45, 90, 200),
    "purple": (135, 60, 170),
    "pink": (235, 140, 180),
    "brown": (120, 75, 45),
    "white": (238, 238, 235),
    "gray": (128, 128, 132),
    "black": (32, 32, 36),
}
"""Body colours, by the words that captions use."""

FAMILIES = ("bird", "cat", "car", "boat", "aeroplane", "pottedplant")
"""Bodies; the names are Pascal VOC's, because VOC's loader knows no others."""

PATTERNS = ("halves", "dot", "cross", "stripes", "ring", "quarters")
TEXTURES = ("plain", "stripes", "spots", "checks", "mottled")

_PART_COLOURS: tuple[RGB, ...] = (
    (225, 30, 45),
    (250, 225, 30),
    (30, 165, 70),
    (40, 70, 225),
    (195, 50, 205),
    (245, 245, 245),
    (20, 20, 25),
)
_PAIRS = tuple(permutations(range(len(_PART_COLOURS)), 2))
PARTS = len(PATTERNS) * len(_PAIRS)
"""How many different parts there are."""

_STRIDE = 101  # coprime to PARTS: neighbours in the list differ in pattern and in both colours


@dataclass(frozen=True)
class Part:
    """A two-coloured emblem."""

    pattern: str
    colours: tuple[RGB, RGB]


@dataclass(frozen=True)
class Species:
    """One class: the family's body, the part that tells it, and the texture and colour that its body often has."""

    family: str
    part: Part
    texture: str
    colour: str


def part(index: int) -> Part:
    """The part with that number, 0 to PARTS - 1."""
    number = index * _STRIDE % PARTS
    first, second = _PAIRS[number // len(PATTERNS)]
    return Part(PATTERNS[number % len(PATTERNS)], (_PART_COLOURS[first], _PART_COLOURS[second]))


def catalogue(general: int, birds: int) -> tuple[tuple[Species, ...], tuple[Species, ...]]:
    """Species over all families (ImageNet's classes), and species of birds with parts that no general one has (CUB's).

    Raises UserError where there are not enough parts.
    """
    if general < 1 or birds < 1 or general + birds > PARTS:
        raise UserError(f"{general} + {birds} classes; each must be at least 1, and there are {PARTS} different parts")
    return (
        tuple(_species(FAMILIES[index % len(FAMILIES)], index) for index in range(general)),
        tuple(_species("bird", general + index) for index in range(birds)),
    )


def _species(family: str, index: int) -> Species:
    names = tuple(COLOURS)
    return Species(family, part(index), TEXTURES[index % len(TEXTURES)], names[index * 7 % len(names)])
