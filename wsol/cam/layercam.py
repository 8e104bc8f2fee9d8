"""LayerCAM: features times positive gradients, place by place: early stages give fine maps, and can be fused.

Source: Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE TIP 2021 (DOI
10.1109/TIP.2021.3089943): weights ReLU(gradient), the map a ReLU of the weighted sum. Fusing: the maps of early stages
are small in value, so each is scaled to tanh(2 map / its maximum), enlarged to the finest stage's size and the largest
value taken at each place; scaled so by the paper for the early stages, by torch-cam (public code) for all, as here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsol.cam.base import GradientCAM, Layer, Maps

if TYPE_CHECKING:
    from torch import Tensor, nn

    from wsol.cam.base import Choose, Explain

_GAMMA = 2.0  # the paper's


@dataclass(frozen=True)
class LayerCAM(GradientCAM):
    """``ReLU(sum over c of ReLU(gradient[c, y, x]) * feature[c, y, x])``."""

    fuse: tuple[Layer, ...] = ()
    """Stages whose maps are fused with that of `layer`; each costs one more pass through the network. The first
    pass, that of `layer`, gives the logits and so the classes of all."""

    def bind(self, network: "nn.Module") -> "Explain":
        """See `CAM.bind`."""
        if not self.fuse:
            return super().bind(network)
        stages = [LayerCAM(layer).bind(network) for layer in dict.fromkeys((self.layer, *self.fuse))]

        def explain(images: "Tensor", choose: "Choose") -> Maps:
            classes: list[Tensor] = []

            def once(logits: "Tensor") -> "Tensor":
                # Under autocast each stage's logits differ a little: asked anew, it could explain another class.
                if not classes:
                    classes.append(choose(logits))
                return classes[0]

            found = [stage(images, once) for stage in stages]
            return Maps(fused([maps.scores for maps in found]), found[0].logits)

        return explain

    def combine(self, features: "Tensor", gradients: "Tensor") -> "Tensor":
        """See `GradientCAM.combine`."""
        return (gradients.clamp_min(0) * features).sum(1).clamp_min(0)


def fused(maps: "Sequence[Tensor]") -> "Tensor":
    """Maps of several stages, [N, h, w] or [N, k, h, w] each with its own size -> one, of the largest size."""
    import torch
    from torch.nn import functional

    size = max(scores.shape[-2:] for scores in maps)
    result = torch.zeros(*maps[0].shape[:-2], *size, device=maps[0].device)
    for scores in maps:
        top = scores.amax((-2, -1), keepdim=True).clamp_min(torch.finfo(scores.dtype).tiny)
        scaled = torch.tanh(_GAMMA * scores / top).reshape(-1, 1, *scores.shape[-2:])
        larger = functional.interpolate(scaled, size, mode="bilinear", align_corners=False)
        result = torch.maximum(result, larger.reshape(result.shape))
    return result
