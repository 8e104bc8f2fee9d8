"""Images and captions as training pairs and test images, and the batches of both.

A training sample is one (image, caption) pair, as in the paper's code: an epoch shows every caption once, and an image
as often as it has captions. N: images of a batch, T: ids of the longest caption, S: side of the crop in pixels,
C: channels of the encoder's features, P: places of its map.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.data.records import CaptionRecord
from transfer.tasks.captioning.views import View
from transfer.tasks.captioning.vocabulary import END, PAD, UNK, Vocabulary


class Example(NamedTuple):
    """An image by its id, with what is needed of pixels, features and caption."""

    id: int
    pixels: Tensor | None  # uint8 [3, S, S]; None: the features are known already
    features: NDArray[np.float16] | None  # [C], or [P, C]; None: the encoder looks at the pixels
    tokens: Sequence[int] | NDArray[np.int32] | None  # START, words, END; None in the test
    tuned: bool = False  # whether the encoder is trained on it


class Batch(NamedTuple):
    """Examples side by side."""

    ids: NDArray[np.int64]  # [N]; no list: whatever moves a batch to a device would look at every number of one
    pixels: Tensor | None  # uint8 [N, 3, S, S]
    features: Tensor | None  # float16 [N, C], or [N, P, C]
    tokens: Tensor | None  # int64 [N, T], PAD after the end
    tuned: bool = False  # whether the encoder is trained on it


class Captions:
    """Encoded captions in a few arrays.

    A list for each would be many small objects, and a forked worker copies the memory page of each that it looks at:
    COCO has 414,113.
    """

    def __init__(self, captions: Iterable[Sequence[int]]) -> None:
        """captions: ids of each."""
        kept = [np.asarray(caption, np.int32) for caption in captions]
        self.ids = np.concatenate(kept) if kept else np.empty(0, np.int32)
        self.starts = np.cumsum([0, *map(len, kept)])

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> NDArray[np.int32]:
        """The ids of one."""
        return self.ids[self.starts[index] : self.starts[index + 1]]


@dataclass
class Pairs:
    """Training samples. Where the encoder is tuned from an epoch on, they change with it (`core.loader.EpochAware`)."""

    records: Sequence[CaptionRecord]
    images: NDArray[np.int64]
    """Of each pair, the index of its record."""
    captions: Captions
    """Of each pair."""
    view: View
    finetune_from: int | None = None
    """The epoch (from 0) from which the encoder is trained, and so sees pixels; None: never."""
    features: NDArray[np.float16] | None = None
    """Of every record, where they are known: [records, C], or [records, P, C]. Used until `finetune_from`."""
    epoch: int = field(default=0, init=False)

    @classmethod
    def of(
        cls,
        records: Sequence[CaptionRecord],
        vocabulary: Vocabulary,
        max_words: int,
        view: View,
        finetune_from: int | None = None,
    ) -> "Pairs":
        """Every caption with its image."""
        images = np.repeat(np.arange(len(records)), [len(record.captions) for record in records])
        encoded = (vocabulary.encode(caption, max_words) for record in records for caption in record.captions)
        return cls(records, images, Captions(encoded), view, finetune_from)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def tuned(self) -> bool:
        """Whether the encoder is trained in this epoch."""
        return self.finetune_from is not None and self.epoch >= self.finetune_from

    def coverage(self) -> str:
        """How the vocabulary and the length limit fit these captions, in words."""
        ids, ends = self.captions.ids, self.captions.starts[1:] - 1
        words, unknown, cut = int((ids >= UNK).sum()), int((ids == UNK).sum()), int((ids[ends] != END).sum())
        share = unknown / max(words, 1)
        return f"{share:.2%} of {words:,} training words are <unk>; {cut:,} of {len(self):,} captions are cut"

    def begin_epoch(self, epoch: int) -> None:
        """The next samples belong to this epoch, from 0."""
        self.epoch = epoch

    def seeded_sample(self, index: int, seed: int) -> Example:
        """One pair. DataError: the image cannot be read."""
        tuned, image = self.tuned, int(self.images[index])
        record, tokens = self.records[image], self.captions[index]
        if tuned or self.features is None:
            return Example(record.id, self.view(record.path, seed), None, tokens, tuned)
        return Example(record.id, None, self.features[image], tokens)

    def sample(self, index: int) -> Example:
        """The same, with a seed from torch's global generator."""
        return self.seeded_sample(index, int(torch.randint(2**62, ())))


@dataclass
class Pictures:
    """Test samples: each image once. features: as in `Pairs`."""

    records: Sequence[CaptionRecord]
    view: View
    features: NDArray[np.float16] | None = None

    def __len__(self) -> int:
        return len(self.records)

    def seeded_sample(self, index: int, seed: int) -> Example:
        """One image. DataError: it cannot be read."""
        record = self.records[index]
        if self.features is None:
            return Example(record.id, self.view(record.path, seed), None, None)
        return Example(record.id, None, self.features[index], None)

    def sample(self, index: int) -> Example:
        """The same: nothing is random."""
        return self.seeded_sample(index, 0)


def collate(examples: Sequence[Example]) -> Batch:
    """A list of examples, all with pixels or all with features, all with captions or none, as a batch."""
    pixels = [example.pixels for example in examples if example.pixels is not None]
    features = [example.features for example in examples if example.features is not None]
    captions = [example.tokens for example in examples if example.tokens is not None]
    assert sorted((len(pixels), len(features))) == [0, len(examples)]
    assert len(captions) in (0, len(examples))
    return Batch(
        np.array([example.id for example in examples]),
        side_by_side(pixels) if pixels else None,
        torch.from_numpy(np.stack(features)) if features else None,
        pad(captions) if captions else None,
        examples[0].tuned,
    )


def side_by_side(pixels: Sequence[Tensor]) -> Tensor:
    """Images [3, S, S] as a batch in channels-last memory, in which each is copied as it lies."""
    return torch.stack([image.permute(1, 2, 0) for image in pixels]).permute(0, 3, 1, 2)


def pad(captions: Sequence[Sequence[int] | NDArray[np.int32]]) -> Tensor:
    """Ids as int64 [N, T], PAD after each caption's last."""
    rows = np.full((len(captions), max(map(len, captions))), PAD, np.int64)
    for row, caption in zip(rows, captions, strict=True):
        row[: len(caption)] = caption
    return torch.from_numpy(rows)
