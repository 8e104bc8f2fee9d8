"""One picture of each data set, as a function of (world, set, index) alone.

Labels go round: picture `index` of a set shows species `index % number of species`.
"""

from functools import lru_cache

import numpy as np

from core.data.synthetic.backgrounds import CAMOUFLAGE, SETTINGS
from core.data.synthetic.scenes import Scene, Style, Wanted, compose
from core.data.synthetic.species import COLOURS, FAMILIES, PARTS, Species, catalogue, part
from core.data.synthetic.sprites import Look
from core.data.synthetic.world import World
from core.seeding import derive


@lru_cache(maxsize=8)
def _species(world: World) -> tuple[tuple[Species, ...], tuple[Species, ...]]:
    return catalogue(world.imagenet_classes, world.cub_classes)


def _style(world: World, among: tuple[Species, ...], least_visible: float) -> Style:
    look = Look(world.body_hint, world.hidden_part)
    return Style(look, world.clutter, world.stray_part, tuple(species.part for species in among), least_visible)


def _rng(world: World, name: str, index: int) -> np.random.Generator:
    return np.random.default_rng(derive(world.seed, name, index))


def one_species(world: World, name: str, index: int) -> Scene:
    """ImageNet: a square picture of one species, now and then with a second individual."""
    rng = _rng(world, name, index)
    general, _ = _species(world)
    species, size = general[index % len(general)], world.imagenet_size
    wanted = [Wanted(species, rng.uniform(*world.imagenet_scale) * size)]
    if rng.random() < 0.1:
        wanted = [Wanted(species, rng.uniform(0.35, 0.5) * size) for _ in range(2)]
    return compose(wanted, (size, size), _style(world, general, 0.85), rng)


def bird(world: World, name: str, index: int) -> Scene:
    """CUB: one bird in a picture of any shape."""
    rng = _rng(world, name, index)
    _, birds = _species(world)
    size = (round(world.cub_size * rng.uniform(0.75, 1.25)), round(world.cub_size * rng.uniform(0.65, 1.0)))
    length = rng.uniform(0.5, 0.95) * min(size)
    return compose([Wanted(birds[index % len(birds)], length)], size, _style(world, birds, 0.85), rng)


def street(world: World, name: str, index: int) -> Scene:
    """VOC: several objects of any family, near and far, some of them covered or cut off."""
    rng = _rng(world, name, index)
    size = _shape(world.voc_size, 0.75, rng)
    lengths = sorted(rng.uniform(0.2, 0.8, int(rng.integers(1, world.voc_objects + 1))) ** 1.3 / 0.8**0.3 * min(size))
    wanted = [Wanted(_anyone(str(rng.choice(FAMILIES)), rng), length) for length in lengths]
    general, _ = _species(world)
    return compose(wanted, size, _style(world, general, 0.3), rng)


def captioned(world: World, name: str, index: int) -> Scene:
    """COCO: up to `coco_objects` objects, often alike, in colours that tell them from the setting."""
    rng = _rng(world, name, index)
    size = _shape(world.coco_size, 2 / 3, rng)
    setting = str(rng.choice(list(SETTINGS)))
    count = int(rng.integers(1, world.coco_objects + 1))
    families, colours = ([str(word) for word in rng.choice(words, count)] for words in (FAMILIES, _seen_on(setting)))
    if rng.random() < 0.4:
        families, colours = families[:1] * count, colours[:1] * count
    longest = (0.9, 0.65, 0.5, 0.4, 0.35)[count - 1]
    wanted = [
        Wanted(_anyone(family, rng), rng.uniform(0.5, 1) * longest * min(size), colour)
        for family, colour in zip(families, colours, strict=True)
    ]
    general, _ = _species(world)
    return compose(wanted, size, _style(world, general, 0.75), rng, setting)


def _seen_on(setting: str) -> list[str]:
    return [colour for colour in COLOURS if colour not in CAMOUFLAGE[setting]]


def _shape(longer: int, least: float, rng: np.random.Generator) -> tuple[int, int]:
    """Width and height, the shorter one at least that fraction of the longer one; landscape twice as often."""
    shorter = round(longer * rng.uniform(least, 1))
    return (longer, shorter) if rng.random() < 2 / 3 else (shorter, longer)


def _anyone(family: str, rng: np.random.Generator) -> Species:
    """An individual of the family with any part, texture and colour."""
    names = list(COLOURS)
    return Species(family, part(int(rng.integers(PARTS))), "plain", names[int(rng.integers(len(names)))])
