"""The synthetic world: small pictures in the official layouts of four data sets, read by the loaders of the real ones.

`world` has its numbers; then, from the small to the large: `species`, `bodies`, `sprites`, `backgrounds`, `scenes`,
`grammar` (captions), `layouts` (files), `writing` (with progress). Only `world` is imported here: drawing needs OpenCV.
"""

from core.data.synthetic.world import World

__all__ = ["World"]
