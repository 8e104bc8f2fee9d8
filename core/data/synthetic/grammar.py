"""Captions: five ways to say what is in a picture.

They name only what can be seen: families, how many, colours, sizes, sides, who is where, and the setting.
"""

from collections.abc import Sequence
from dataclasses import dataclass

NOUNS = {
    "bird": "bird",
    "cat": "cat",
    "car": "car",
    "boat": "boat",
    "aeroplane": "plane",
    "pottedplant": "plant",
}
"""Family -> the noun that captions use; plurals add an s."""

PLACES: dict[str, tuple[str, str]] = {
    "grass": ("on the grass", "in a green field"),
    "sand": ("on the sand", "at the beach"),
    "water": ("on the water", "in the blue sea"),
    "snow": ("in the snow", "on a winter day"),
    "wall": ("in front of a wall", "beside a brick wall"),
    "night": ("at night", "in the dark"),
}
"""Setting -> two ways to say where."""

_NUMBERS = ("no", "one", "two", "three", "four", "five")
_VOWELS = "aeiou"


@dataclass(frozen=True)
class Thing:
    """An object as far as captions go."""

    family: str
    colour: str
    area: float
    """Of its box, as a fraction of the image's."""
    x: float
    """Centre, as a fraction of the image's width."""
    y: float
    """Centre, as a fraction of the image's height."""

    @property
    def noun(self) -> str:
        """The family's noun."""
        return NOUNS[self.family]

    @property
    def size(self) -> str:
        """How large it is, or nothing where it is neither."""
        return "large" if self.area > 0.3 else "small" if self.area < 0.12 else ""


def captions(things: Sequence[Thing], setting: str) -> tuple[str, str, str, str, str]:
    """Five different sentences about at least one thing in that setting; things are listed from left to right."""
    things = sorted(things, key=lambda thing: thing.x)
    here, there = PLACES[setting]
    coloured = _listed(things, colours=True)
    plain = _listed(things, colours=False)
    verb = "is" if len(things) == 1 else "are"
    return (
        _sentence(f"{coloured} {here}"),
        _sentence(f"there {verb} {plain} {there}"),
        _sentence(f"{here} {verb} {coloured}"),
        _sentence(_relation(things)),
        _sentence(f"a picture of {plain} {here}"),
    )


def _relation(things: Sequence[Thing]) -> str:
    """Where a single thing is, or where the largest is to the next."""
    first, *others = sorted(things, key=lambda thing: -thing.area)
    if not others:
        side = "left" if first.x < 0.4 else "right" if first.x > 0.6 else "middle"
        return f"{_article(first.size, first.colour, first.noun)} in the {side} of the image"
    second = others[0]
    across, down = second.x - first.x, second.y - first.y
    if abs(across) >= abs(down):
        where = "to the left of" if across > 0 else "to the right of"
    else:
        where = "above" if down > 0 else "below"
    other = f"another {second.noun}" if second.noun == first.noun else _article(second.colour, second.noun)
    return f"{_article(first.colour, first.noun)} is {where} {other}"


def _listed(things: Sequence[Thing], *, colours: bool) -> str:
    """ "two red birds and a small plane": things of one family, and one colour where colours are said, go together."""
    groups: dict[tuple[str, str], list[Thing]] = {}
    for thing in things:
        groups.setdefault((thing.noun, thing.colour if colours else ""), []).append(thing)
    phrases = [
        _article(members[0].size, colour, noun)
        if len(members) == 1
        else " ".join(filter(None, (_NUMBERS[len(members)], colour, noun + "s")))
        for (noun, colour), members in groups.items()
    ]
    return " and ".join(filter(None, (", ".join(phrases[:-1]), phrases[-1])))


def _article(*words: str) -> str:
    phrase = " ".join(filter(None, words))
    return f"{'an' if phrase[0] in _VOWELS else 'a'} {phrase}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
