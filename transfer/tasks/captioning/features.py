"""What a frozen encoder says of images, computed once."""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from core.data.records import CaptionRecord
from core.stage import Job
from transfer.tasks.captioning.data import View
from transfer.tasks.captioning.model import Captioner

_log = logging.getLogger(__name__)
_CHUNK = 64  # images at once: fixed, so that a run that goes on finds the same bits


@torch.no_grad()
def features(records: Sequence[CaptionRecord], view: View, model: Captioner, job: Job) -> NDArray[np.float16]:
    """[images, C], or [images, P, C] where the decoder is spatial.

    They are a function of images and encoder alone (no augmentation, nothing random), so that a run that goes on from a
    checkpoint has the same ones again.
    """
    started, parts = time.monotonic(), []
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # Pillow decodes outside the interpreter's lock
        for start in range(0, len(records), _CHUNK):
            paths = [record.path for record in records[start : start + _CHUNK]]
            pixels = torch.stack(list(pool.map(view, paths)))
            parts.append(model.encode(pixels.to(job.fabric.device)).half().cpu().numpy())
    _log.info("features of %s images in %.1f s", f"{len(records):,}", time.monotonic() - started)
    return np.concatenate(parts)
