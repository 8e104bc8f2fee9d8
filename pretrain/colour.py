"""The authors' colour changes as one affine map of RGB for each image.

Source: clovaai/CutMix-PyTorch, utils.py at commit 2d8eb68: brightness, contrast and saturation in random order, then
AlexNet's PCA noise, on floating-point pixels and without clipping. Each is affine in a pixel's colour, so that all of
them together are one matrix [3, 4], drawn where the image is made and applied where it is normalised.
"""

import random
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.data.pictures import Pixels

Colour: TypeAlias = NDArray[np.float32]
"""[3, 4]: (r, g, b, 1) in 0..255 to the new (r, g, b), not clipped."""

# Eigenvalues and eigenvectors (columns) of the RGB covariance over ImageNet, pixels in 0..1 (fb.resnet.torch's values).
_EIGENVALUES = (0.2175, 0.0188, 0.0045)
_EIGENVECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
_LUMA = np.array([0.299, 0.587, 0.114])


def draw(rng: random.Random, pixels: Pixels, jitter: float, lighting: float) -> Colour:
    """A random change of the colours of one image.

    Args:
        rng: decides.
        pixels: the view [H, W, 3]; its mean colour is what contrast blends with.
        jitter: each of the three blends has a strength drawn from U(-jitter, jitter).
        lighting: standard deviation of the noise along each principal axis of ImageNet's colours.
    """
    change = np.eye(3, 4)
    if jitter:
        mean = np.append(_mean(pixels), 1.0)  # (r, g, b, 1)
        amounts = [rng.uniform(-jitter, jitter) for _ in range(3)]
        for kind in rng.sample(range(3), 3):
            change = change + amounts[kind] * (_target(kind, change, mean) - change)
    if lighting:
        noise = [255.0 * rng.gauss(0.0, lighting) * value for value in _EIGENVALUES]
        change[:, 3] += _EIGENVECTORS @ noise
    return change.astype(np.float32)


def _mean(pixels: Pixels) -> NDArray[np.float64]:
    """The mean colour. Rows are added up first: numpy sums over long rows many times as fast as over triples."""
    height, width = pixels.shape[:2]
    columns = pixels.reshape(height, -1).sum(0, dtype=np.uint32)
    mean: NDArray[np.float64] = columns.reshape(width, 3).sum(0) / (height * width)
    return mean


def _target(kind: int, change: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """What brightness (0), contrast (1) and saturation (2) blend the image so far with: an affine map as well."""
    target = np.zeros((3, 4))
    if kind == 1:
        target[:, 3] = _LUMA @ (change @ mean)  # the mean grey of the image so far
    elif kind == 2:
        target[:] = _LUMA @ change  # each pixel's grey
    return target
