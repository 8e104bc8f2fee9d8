"""Images as tensors. N images, C = 3 channels (RGB), H rows, W columns; uint8 until the device, float32 after."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.data.images import open_picture
from core.data.pictures import Decoded, Picture, Source
from core.normalize import normalize as normalize  # stands here for those who know it from here


def to_tensor(image: Image.Image) -> Tensor:
    """An RGB image as uint8 [3, H, W]; a view of its pixels in channels-last order."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def _as_it_is(image: Tensor) -> Tensor:
    """Nothing; a function with a name travels to a process that is spawned."""
    return image


class Pictures:
    """Image files as tensors: each decoded when it is asked for, or all now and kept, for sets that fit in memory.

    Those that are kept are decoded by the process that makes this, so that processes that load data share them.
    """

    def __init__(self, paths: Sequence[Source], prepare: Callable[[Tensor], Tensor] = _as_it_is, *, keep: bool) -> None:
        """paths: the files. prepare: uint8 [3, H, W] of a file to what is wanted. keep: decode all now."""
        self.paths, self.prepare = paths, prepare
        self.kept: list[Tensor] | None = [self._read(path) for path in paths] if keep else None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        """One prepared image. Raises DataError where the file cannot be read."""
        return self._read(self.paths[index]) if self.kept is None else self.kept[index]

    def _read(self, path: Source) -> Tensor:
        pixels = np.require(open_picture(path).whole(), requirements="W")  # a copy where it is another's to keep
        return self.prepare(torch.from_numpy(pixels).permute(2, 0, 1))


class Originals:
    """Image files as pictures that decode no more than is asked for, or all decoded now and kept.

    Those that are kept are decoded by the process that makes this, so that processes that load data share them.
    """

    def __init__(self, paths: Sequence[Source], *, keep: bool) -> None:
        """paths: the files. keep: decode all now. DataError, where kept: a file cannot be read."""
        self.paths = paths
        self.kept: list[Picture] | None = [Decoded(open_picture(path).whole()) for path in paths] if keep else None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Picture:
        """One picture. DataError: the file cannot be read."""
        return open_picture(self.paths[index]) if self.kept is None else self.kept[index]
