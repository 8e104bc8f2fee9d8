"""Score-CAM: each channel is weighed by what the network says of the image seen through that channel; no gradients.

Source: Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks", CVPR Workshops
2020, arXiv 1910.01279, eq. (5) to (8) and algorithm 1: a channel's map, enlarged to the image's size and scaled to 0..1
by its minimum and maximum, multiplies the (normalised) image; the class's logits of these images go through a softmax
over the channels, which are the weights (the logit of the image of the mean colour, zero once normalised, cancels
out). A constant channel masks everything: its image is that one. Clipped: the map is a ReLU, as the paper's.

It costs one forward pass for each image and live channel (512 for a ResNet-18, 2048 for a ResNet-50): a thousand times
CAM.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import UserError
from wsol.cam.base import CAM, Layer, Maps

if TYPE_CHECKING:
    from torch import Tensor, nn

    from wsol.cam.base import Choose, Explain


@dataclass(frozen=True)
class ScoreCAM(CAM):
    """``ReLU(sum over c of softmax(logit of the image masked by channel c) * feature[c, y, x])``."""

    layer: Layer = "layer4"
    """The stage whose output is read."""
    batch: int = 64
    """Masked images in one forward pass; the result does not depend on it."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.batch < 1:
            raise UserError(f"Score-CAM: expected batch >= 1, got {self.batch}")

    def bind(self, network: "nn.Module") -> "Explain":
        """See `CAM.bind`."""
        import torch

        from core.resnet import cut

        before, after = (half.eval() for half in cut(network, self.layer))

        @torch.no_grad()
        def explain(images: "Tensor", choose: "Choose") -> Maps:
            features = before(images)  # [N, C, h, w]
            logits = after(features)
            classes = choose(logits)
            wanted = classes if classes.ndim == 2 else classes[:, None]  # [N, k]
            said = masked_logits(lambda x: after(before(x)), images, features.float(), wanted, self.batch)
            scores = torch.einsum("nck,nchw->nkhw", said.softmax(1), features.float()).float().clamp_min(0)
            return Maps(scores if classes.ndim == 2 else scores[:, 0], logits)

        return explain


def masked_logits(
    network: "Callable[[Tensor], Tensor]", images: "Tensor", features: "Tensor", classes: "Tensor", batch: int
) -> "Tensor":
    """Logits of the classes [N, k] for each image seen through each of its channels: [N, C, k] float32."""
    import torch
    from torch.nn import functional

    blank = network(torch.zeros_like(images[:1])).float()[0]  # [K]: what a constant channel's image gives
    result = blank[classes][:, None].repeat(1, features.shape[1], 1)
    live = features.amax((2, 3)) > features.amin((2, 3))  # [N, C]
    for pairs in torch.split(live.nonzero(), batch):
        rows, channels = pairs.unbind(1)
        masks = functional.interpolate(features[rows, channels][:, None], images.shape[-2:], mode="bilinear")
        low, high = masks.amin((2, 3), keepdim=True), masks.amax((2, 3), keepdim=True)
        logits = network(images[rows] * ((masks - low) / (high - low).clamp_min(torch.finfo(masks.dtype).tiny)))
        result[rows, channels] = logits.float().gather(1, classes[rows])
    return result
