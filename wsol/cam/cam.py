"""CAM: the last layer's weights of a class, applied at every place of the last feature map.

Source: Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016, arXiv 1512.04150, eq. (2); the
bias is left out, as it is there. One forward pass and one batched matrix product; no hooks, no gradients. Not clipped:
places that speak against the class are negative.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsol.cam.base import CAM, Maps, per_class

if TYPE_CHECKING:
    from torch import Tensor, nn

    from wsol.cam.base import Choose, Explain


@dataclass(frozen=True)
class WeightCAM(CAM):
    """``sum over c of weight[class, c] * feature[c, y, x]`` on layer4's output."""

    def bind(self, network: "nn.Module") -> "Explain":
        """Take the network's convolutional part and its head; they are shared, not copied."""
        import torch

        from core.resnet import classifier, cut

        head = classifier(network)
        before, after = (half.eval() for half in cut(network, "layer4"))

        @torch.no_grad()
        def explain(images: "Tensor", choose: "Choose") -> Maps:
            features = before(images)  # [N, C, h, w]
            logits = after(features)
            n, c, h, w = features.shape
            flat = features.reshape(n, c, h * w)

            def score(classes: "Tensor") -> "Tensor":
                weights = head.weight[classes].to(flat.dtype)  # [N, C]
                scores: Tensor = weights[:, None] @ flat  # [N, 1, h w]
                return scores.reshape(n, h, w).float()

            return Maps(per_class(choose(logits), score), logits)

        return explain
