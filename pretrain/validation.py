"""What a network says of the validation images: errors in percent, and after the last epoch ranks and logits on disk.

N validation images in the records' order, K classes. In a run's folder:
predictions.json  {"ids": [N], "labels": [N], "topk": [N][5]}: the most probable classes of each image, best first
logits.npy        float16 [N, K], for calibration, overlap of errors and significance; `save_logits` of the config
"""

import io
import json
import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from core import atomic
from core.backbone import Spec
from core.images import normalize
from core.loop import predict
from core.stage import Job
from eval.classification import topk_error
from pretrain.samples import Batch, collate
from pretrain.sets import Sets
from pretrain.stage import Pretrain

RANKED = 5  # classes kept of each validation image
PREDICTIONS, LOGITS = "predictions.json", "logits.npy"
_log = logging.getLogger(__name__)


class Validation:
    """The validation of one row. In a job of several processes each calls it; the first alone writes."""

    def __init__(self, config: Pretrain, job: Job, sets: Sets, spec: Spec) -> None:
        """sets: what to validate on. spec: how the network wants its images."""
        self.config, self.job, self.sets, self.spec = config, job, sets, spec

    def __call__(self, model: nn.Module, epoch: int, *, last: bool) -> dict[str, float]:
        """The top-1 and top-5 errors in percent (top-K where there are fewer classes); `last`: keep what was said."""
        logits = last and self.config.save_logits
        said = self.predict(model, logits=logits)
        topk = [ranks for ranks, _ in said]
        labels = [record.label for record in self.sets.records]
        if last and self.job.fabric.is_global_zero:
            if logits:
                self._write(np.stack([row for _, row in said if row is not None]))
            ids = [record.id for record in self.sets.records]
            atomic.write_json(self.job.run.path(PREDICTIONS), {"ids": ids, "labels": labels, "topk": topk})
        errors = {f"top{k}_error": topk_error(topk, labels, k) for k in (1, min(RANKED, self.spec.num_classes))}
        numbers = ", ".join(f"{name} {value:.2f} %" for name, value in errors.items())
        _log.info("%s: epoch %d: %s", self.job.row, epoch, numbers)
        return errors

    def predict(self, model: nn.Module, *, logits: bool) -> list[tuple[list[int], NDArray[np.float16] | None]]:
        """The best classes of each image, best first, and where asked for its logits [K]."""

        def step(network: nn.Module, batch: Batch) -> list[tuple[list[int], NDArray[np.float16] | None]]:
            found: Tensor = network(normalize(batch.pixels, self.spec.mean, self.spec.std))  # [n, K]
            ranks = found.topk(min(RANKED, found.shape[1])).indices.tolist()
            rows = list(found.half().cpu().numpy()) if logits else [None] * len(ranks)
            return list(zip(ranks, rows, strict=True))

        return predict(
            self.job, model, samples=self.sets.val, collate=collate, batch_size=self.config.recipe.batch_size,
            step=step, phase="validate",
        )  # fmt: skip

    def saved(self) -> dict[str, Any]:
        """predictions.json, as the last epoch's validation wrote it, in this process or a killed one."""
        values = json.loads(self.job.run.path(PREDICTIONS).read_text())
        assert isinstance(values, dict)
        return values

    def _write(self, logits: NDArray[np.float16]) -> None:
        buffer = io.BytesIO()
        np.save(buffer, logits, allow_pickle=False)
        atomic.write_bytes(self.job.run.path(LOGITS), buffer.getvalue())
