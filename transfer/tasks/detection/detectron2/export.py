"""A backbone and a transfer config as files for detectron2's own trainer. Needs no detectron2."""

import io
import logging
import pickle
from pathlib import Path

from torch import nn

from core import atomic
from core import backbone as backbones
from core.errors import UserError
from transfer.stage import Transfer
from transfer.tasks.detection.detectron2.config import exported
from transfer.tasks.detection.detectron2.names import converted
from transfer.tasks.detection.detectron2.shape import ResNetShape, describe
from transfer.tasks.faster_rcnn import FasterRCNN

WEIGHTS, CONFIG = "backbone.pkl", "config.yaml"
_log = logging.getLogger(__name__)


def export(config: Transfer, source: str, out: Path, root: Path | None) -> None:
    """Write `backbone.pkl` and `config.yaml`; the notes that the config begins with are logged.

    Args:
        config: a transfer with a FasterRCNN task.
        source: the backbone, as `--backbone` takes it.
        out: the folder; it is made.
        root: the data root, for recipes that count in epochs and data sets whose classes stand in a file; or None.

    Raises:
        UserError: detectron2's trainer cannot be told this network or recipe.
        DataError: the data is not below `root`.
    """
    task, recipe = config.task, config.recipe
    if not isinstance(task, FasterRCNN):
        raise UserError(f"expected a config with a FasterRCNN task, got {type(task).__name__}")
    found = backbones.load(source)
    if found.spec.layer4_stride1:
        raise UserError(f"{source}: expected a backbone whose layer4 halves the map; this one's does not")
    images = None
    if recipe is not None and recipe.steps is None and root is not None:
        images = len(task.data.records(root, "train"))
    weights = (out / WEIGHTS).resolve()
    written = exported(
        config,
        _shape(found.model, source),
        found.spec,
        classes=len(task.data.classes(root or Path())),
        images=images,
        weights=str(weights),
    )
    out.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(weights, pickled(found.model, counters=not task.norms_frozen))
    atomic.write_text(out / CONFIG, written.text(f"{source} for detectron2's trainer"))
    for note in written.notes:
        _log.info("note: %s", note)


def _shape(model: nn.Module, source: str) -> ResNetShape:
    try:
        return describe(model)
    except UserError as error:
        raise UserError(f"{source}: {error}. engine=detectron2 can train on it all the same") from error


def pickled(model: nn.Module, *, counters: bool) -> bytes:
    """A ResNet as a file of detectron2's model zoo, its names matched by their ends (`matching_heuristics`).

    Without that mark, or in a .pth whose address asks for the matching, detectron2 loads next to nothing and says so
    in a warning alone. counters: as in `names.converted`.
    """
    tensors = {name: t.detach().cpu().numpy() for name, t in converted(model.state_dict(), counters=counters).items()}
    file = io.BytesIO()
    pickle.dump({"model": tensors, "__author__": "transfer", "matching_heuristics": True}, file)
    return file.getvalue()
