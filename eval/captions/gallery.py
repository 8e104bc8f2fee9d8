"""The best, median and worst captions with their images, references and scores: one HTML file that needs no other.

Beside another model's captions, also where this one gains and loses most.
Images are in the file as small JPEGs; there is no script and no address, and all text is escaped.
"""

import base64
import html
import io
import struct
import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.captions import one_line
from eval.captions.bootstrap import PERCENT
from eval.captions.evaluation import Scored
from eval.captions.summary import TITLES, TOKENS
from eval.captions.tokens import Tokenizer
from eval.columns import count
from eval.errors import EvalError

SIDE = 320
"""Longest side of an image in the page, in pixels."""
_STYLE = """
body { font: 15px/1.4 sans-serif; margin: 2em auto; max-width: 60em; color: #222; background: #fff; padding: 0 1em }
article { display: flex; gap: 1.2em; margin: 1em 0; padding-top: 1em; border-top: 1px solid #ccc }
figure { flex: 0 0 20em; margin: 0 } img { max-width: 100%; display: block }
figure p { background: #eee; padding: 4em 1em; margin: 0; text-align: center; color: #666 }
figcaption, .scores { color: #666; font-size: 85% } .caption { font-size: 120%; font-weight: bold; margin: 0 }
ul { padding-left: 1.2em; margin: .4em 0 }
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Gallery:
    """What a page shows."""

    scored: Scored
    references: Mapping[Any, Sequence[str]]
    pictures: Mapping[Any, Path] | None = None
    """The image files that there are; None: a page without images."""
    by: str = "cider"
    """What captions are ranked by: a key of `scores.per_image`."""
    count: int = 10
    """Captions of each kind; a third of all at most, so that none is there twice."""
    other: Scored | None = None
    """Another model's captions of the same images, in the same order: shown beside these."""
    tokenizer: Tokenizer = "ptb"
    """What the scores were made with."""

    def __post_init__(self) -> None:
        """EvalError: the scores have no such number."""
        if self.by not in self.scored.scores.per_image:
            raise EvalError(f"captions ranked by {self.by}: expected one of {', '.join(self.scored.scores.per_image)}")

    def page(self) -> str:
        """The HTML. A picture that is missing or cannot be decoded is left out, with a warning for all of them."""
        name, scores = self.scored.name, self.scored.scores
        lost: dict[str, None] = {}  # an image may be there twice
        parts = [
            f"<h2>{heading}</h2>\n" + "".join(self._article(at, lost) for at in places.tolist())
            for heading, places in self._sections().items()
            if len(places)
        ]
        if lost:
            warnings.warn(f"{count(len(lost), 'image')} cannot be shown, such as {next(iter(lost))}", stacklevel=2)
        shown = " ".join(f"{TITLES[key]} {PERCENT * value:.2f}" for key, value in scores.values.items())
        head = (
            f"<h1>{_text(name)}</h1>\n<p>{count(len(scores.images), 'image')}. {shown} (percent)</p>\n"
            f"<p>Tokens: {TOKENS[self.tokenizer]}.</p>"
        )
        return _PAGE.format(title=_text(name), policy=_POLICY, style=_STYLE, body="\n".join([head, *parts]))

    def _sections(self) -> dict[str, NDArray[np.intp]]:
        """Headings, and the places of the images below each."""
        by, values = TITLES[self.by], self.scored.scores.per_image[self.by]
        kinds = (f"Best by {by}", f"Median by {by}", f"Worst by {by}")
        sections = dict(zip(kinds, ranked(values, self.count), strict=True))
        if self.other is not None:
            gains = gained(values - self.other.scores.per_image[self.by], self.count)
            kinds_of_gain = (f"Largest gains in {by}", f"Largest losses in {by}")
            sections |= dict(zip(kinds_of_gain, gains, strict=True))
        return sections

    def _article(self, at: int, lost: dict[str, None]) -> str:
        """One image; a file that cannot be shown joins `lost`."""
        image = self.scored.scores.images[at]
        references = "".join(f"<li><bdi>{_text(one)}</bdi></li>" for one in self.references[image])
        said = _said(self.scored, at)
        if self.other is not None:
            said += f"<p>{_text(self.other.name)}:</p>{_said(self.other, at)}"
        return (
            f"<article>{self._figure(image, lost)}<div>{said}<p>References:</p><ul>{references}</ul></div></article>\n"
        )

    def _figure(self, image: Hashable, lost: dict[str, None]) -> str:
        below = f"<figcaption>image {_text(str(image))}</figcaption>"
        if self.pictures is None:
            return f"<figure>{below}</figure>"
        path = self.pictures.get(image)
        data = None if path is None else thumbnail(path)
        if data is None:
            lost[f"image {image}" if path is None else str(path)] = None
            return f"<figure><p>no image</p>{below}</figure>"
        source = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
        return f'<figure><img alt="image {_text(str(image))}" src="{source}">{below}</figure>'


def ranked(values: NDArray[np.float64], count: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Places of the best (highest first), the median (the middle of the order) and the worst (lowest first).

    Of equal values the first is the better one. None is there twice: of each kind a third of all at most; of one or two
    values all are best.

    Args:
        values: [N].
        count: of each kind.
    """
    order = np.argsort(-values, kind="stable")
    count = min(count, len(order) // 3)
    if not count:
        return order, order[:0], order[:0]
    middle = (len(order) - count) // 2
    return order[:count], order[middle : middle + count], order[::-1][:count]


def gained(differences: NDArray[np.float64], count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of the largest gains (differences above 0, largest first) and of the largest losses (below 0).

    Args:
        differences: to the other model's values: [N].
        count: of each kind, at most.
    """
    order = np.argsort(-differences, kind="stable")
    gains, losses = order[:count], order[::-1][:count]
    return gains[differences[gains] > 0], losses[differences[losses] < 0]


def thumbnail(path: Path) -> bytes | None:
    """An image file as a JPEG of at most SIDE pixels a side, upright as its camera says. None: it cannot be decoded."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            image.draft("RGB", (2 * SIDE, 2 * SIDE))
            small = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError):
        return None  # SyntaxError: a broken PNG; struct.error: broken EXIF
    small.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=80)
    return out.getvalue()


def _said(scored: Scored, at: int) -> str:
    """The caption of the image at this place, and its scores."""
    scores = scored.scores
    numbers = " ".join(f"{TITLES[key]} {PERCENT * each[at]:.1f}" for key, each in scores.per_image.items())
    shown = _text(scored.captions[scores.images[at]]) or "<i>no words</i>"
    return f'<p class="caption"><bdi>{shown}</bdi></p><p class="scores">{numbers}</p>'


def _text(text: str) -> str:
    """Escaped for HTML, without control characters."""
    return html.escape(one_line(text))


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""
