"""Images and captions as training pairs and test images, and the batches of both.

A training sample is one (image, caption) pair, as in the paper's code: an epoch shows every caption once, and an image
as often as it has captions. N: images of a batch, T: ids of the longest caption, S: side of the crop in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from core.data.images import read_rgb
from core.data.records import CaptionRecord
from core.images import to_tensor
from transfer.tasks.captioning.vocabulary import PAD, Vocabulary


@dataclass(frozen=True)
class View:
    """How an image file becomes the network's input: stretched to a square, then the centre or a random part of it."""

    resize: int
    """Side of the square, pixels."""
    crop: int
    """Side of the part that the network sees, pixels."""
    augment: bool = False
    """Whether the part's place is random and half of the images are flipped, from torch's global generator."""

    def __call__(self, path: Path) -> Tensor:
        """Uint8 [3, S, S]. DataError: the file is not an image that can be read."""
        stretched = read_rgb(path).resize((self.resize, self.resize), Image.Resampling.BILINEAR)
        if not self.augment:
            start = round((self.resize - self.crop) / 2)
            return to_tensor(stretched.crop((start, start, start + self.crop, start + self.crop)))
        pixels = v2.functional.horizontal_flip(stretched) if torch.rand(()) < 0.5 else stretched
        left, top = torch.randint(self.resize - self.crop + 1, (2,)).tolist()
        return to_tensor(pixels.crop((left, top, left + self.crop, top + self.crop)))


class Example(NamedTuple):
    """An image by its id, with what is needed of pixels, features and caption."""

    id: int
    pixels: Tensor | None  # uint8 [3, S, S]; None: the features are known already
    features: Tensor | None  # float16 [C], or [P, C]; None: the encoder looks at the pixels
    tokens: list[int] | None  # START, words, END; None in the test


class Batch(NamedTuple):
    """Examples side by side."""

    ids: list[int]
    pixels: Tensor | None  # uint8 [N, 3, S, S]
    features: Tensor | None  # float16 [N, C], or [N, P, C]
    tokens: Tensor | None  # int64 [N, T], PAD after the end


@dataclass(frozen=True)
class Pairs:
    """Training samples. features: of every record, where the frozen encoder's are known."""

    records: Sequence[CaptionRecord]
    pairs: Sequence[tuple[int, list[int]]]  # index of the record, ids of a caption
    view: View
    features: NDArray[np.float16] | None = None

    @classmethod
    def of(cls, records: Sequence[CaptionRecord], vocabulary: Vocabulary, max_words: int, view: View) -> "Pairs":
        """Every caption with its image."""
        captions = [(index, caption) for index, record in enumerate(records) for caption in record.captions]
        return cls(records, [(index, vocabulary.encode(caption, max_words)) for index, caption in captions], view)

    def __len__(self) -> int:
        return len(self.pairs)

    def sample(self, index: int) -> Example:
        """One pair."""
        image, tokens = self.pairs[index]
        return _example(self.records[image], image, self.view, self.features, tokens)


@dataclass(frozen=True)
class Pictures:
    """Test samples: each image once. features: as in `Pairs`."""

    records: Sequence[CaptionRecord]
    view: View
    features: NDArray[np.float16] | None = None

    def __len__(self) -> int:
        return len(self.records)

    def sample(self, index: int) -> Example:
        """One image."""
        return _example(self.records[index], index, self.view, self.features, None)


def _example(
    record: CaptionRecord, index: int, view: View, features: NDArray[np.float16] | None, tokens: list[int] | None
) -> Example:
    if features is None:
        return Example(record.id, view(record.path), None, tokens)
    return Example(record.id, None, torch.from_numpy(features[index]), tokens)


def collate(examples: Sequence[Example]) -> Batch:
    """A list of examples, all with pixels or all with features, all with captions or none, as a batch."""
    pixels = [example.pixels for example in examples if example.pixels is not None]
    features = [example.features for example in examples if example.features is not None]
    captions = [example.tokens for example in examples if example.tokens is not None]
    assert sorted((len(pixels), len(features))) == [0, len(examples)]
    assert len(captions) in (0, len(examples))
    return Batch(
        [example.id for example in examples],
        torch.stack(pixels) if pixels else None,
        torch.stack(features) if features else None,
        pad(captions) if captions else None,
    )


def pad(captions: Sequence[Sequence[int]]) -> Tensor:
    """Ids as int64 [N, T], PAD after each caption's last."""
    longest = max(len(caption) for caption in captions)
    return torch.tensor([[*caption, *[PAD] * (longest - len(caption))] for caption in captions])
