"""CAM: the last layer's weights of a class, applied at every place of the last feature map.

Source: Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016, arXiv 1512.04150, eq. (2); the
bias is left out, as it is there. One forward pass and one batched matrix product; no hooks, no gradients.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsol.cam.base import CAM, Maps

if TYPE_CHECKING:
    from torch import Tensor, nn

    from wsol.cam.base import Choose, Explain


@dataclass(frozen=True)
class WeightCAM(CAM):
    """``sum over c of weight[class, c] * feature[c, y, x]`` on layer4's output."""

    def bind(self, network: "nn.Module") -> "Explain":
        """Take the network's convolutional part and its head; they are shared, not copied."""
        from core.resnet import classifier, trunk

        head, features_of = classifier(network), trunk(network).eval()

        def explain(images: "Tensor", choose: "Choose") -> Maps:
            features = features_of(images)[-1]  # [N, C, h, w]
            logits = head(features.mean((2, 3)))  # global average pooling is what makes the map exact
            n, c, h, w = features.shape
            weights = head.weight[choose(logits)].to(features.dtype)  # [N, C]
            scores = weights[:, None] @ features.reshape(n, c, h * w)  # [N, 1, h * w]
            return Maps(scores.reshape(n, h, w).float(), logits)

        return explain
