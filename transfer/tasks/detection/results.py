"""Detections of a network as entries of a COCO results list."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def coco_results(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    seen: tuple[int, int],
    id: str | int,
    size: tuple[int, int],
    categories: Sequence[int] = (),
) -> list[dict[str, Any]]:
    """Detections of one image as entries of a COCO results list.

    Args:
        boxes: [D, 4] x0, y0, x1, y1 in the network's input. scores: [D]. labels: [D], 1-based.
        seen: width and height of the input without padding.
        id: what a results file calls the image. size: width and height of its file.
        categories: what it calls the classes 1, 2, ...; empty: 0, 1, ...

    Returns:
        image_id, category_id, bbox (x, y, width, height in the file's pixels, to .01), score (to 1e-5).
    """
    scale = torch.tensor([size[0] / seen[0], size[1] / seen[1]]).repeat(2)
    limit = torch.tensor([float(size[0]), float(size[1])]).repeat(2)
    boxes = torch.minimum((boxes.float().cpu() * scale).clamp(min=0), limit)
    boxes = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
    rows = zip(labels.tolist(), boxes.tolist(), scores.tolist(), strict=True)
    return [
        {
            "image_id": id,
            "category_id": categories[label - 1] if categories else label - 1,
            "bbox": [round(v, 2) for v in box],
            "score": round(score, 5),
        }
        for label, box, score in rows
    ]
