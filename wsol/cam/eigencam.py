"""Eigen-CAM: the features projected on their first principal component; of no class.

Source: Muhammad and Yeasin, "Eigen-CAM: Class Activation Map using Principal Components", IJCNN 2020, arXiv 2008.00299,
section III: O = U S V^T of the places x channels matrix O, the map is O times the first column of V. Nothing is
centred (pytorch-grad-cam subtracts each channel's mean first, which is another map) and nothing is clipped.

Sign rule: a singular vector's sign is arbitrary; here the map's sum is not negative. For features that are not
negative (after a ReLU) every value of the map then is not negative either (Perron-Frobenius).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsol.cam.base import CAM, Layer, Maps, per_class

if TYPE_CHECKING:
    from torch import Tensor, nn

    from wsol.cam.base import Choose, Explain


@dataclass(frozen=True)
class EigenCAM(CAM):
    """The first principal component of a stage's features; the same map for every class."""

    layer: Layer = "layer4"
    """The stage whose output is read."""

    def bind(self, network: "nn.Module") -> "Explain":
        """See `CAM.bind`."""
        import torch

        from core.resnet import cut

        before, after = (half.eval() for half in cut(network, self.layer))

        @torch.no_grad()
        def explain(images: "Tensor", choose: "Choose") -> Maps:
            features = before(images)
            logits = after(features)
            scores = first_component(features.float())
            return Maps(per_class(choose(logits), lambda classes: scores), logits)

        return explain


def first_component(features: "Tensor") -> "Tensor":
    """Features [N, C, h, w] -> [N, h, w], O v for the first right singular vector v of each image's O [h w, C].

    v is an eigenvector of O^T O [C, C], and O v one of O O^T [h w, h w]: the smaller of both is taken. An image whose
    features are not finite gets a map of NaN.
    """
    import torch

    n, c, h, w = features.shape
    places = features.reshape(n, c, h * w).mT  # [N, h w, C]
    narrow = c < h * w
    with torch.autocast(features.device.type, enabled=False):
        gram = places.mT @ places if narrow else places @ places.mT
        finite = gram.isfinite().all(-1).all(-1)  # eigh raises on anything else, for the whole batch
        values, vectors = torch.linalg.eigh(gram.where(finite[:, None, None], 0))  # ascending
        first = vectors[..., -1:]
        scores = (places @ first if narrow else first * values[:, -1:, None].clamp_min(0).sqrt())[..., 0]  # [N, h w]
    scores = scores * torch.where(scores.sum(1, keepdim=True) < 0, -1.0, 1.0)
    result: Tensor = scores.where(finite[:, None], torch.nan).reshape(n, h, w)
    return result
