"""What a detector is about to be trained with, in words and numbers, and the last check that it is what was asked for.

Each line stands for a way in which detection results were silently wrong (facts and sources: docs/detection.md):
weights that did not load, pixels in another range or order, norms in another mode, a frozen part that learns.
"""

from typing import Any, Protocol, TypeVar

from torch import Tensor, nn

from core.backbone import Backbone
from core.errors import UserError
from core.recipe import Recipe
from transfer.facts import check_pixels, is_counter, many, pixels, size, untrained, use
from transfer.tasks.detection.freezing import FrozenNorm
from transfer.weights import PARTS, part

_BatchNorm = nn.modules.batchnorm._BatchNorm
T = TypeVar("T")


class Asked(Protocol):
    """What the report needs to know of a task: fields of `transfer.tasks.detection.task.Detection`."""

    @property
    def freeze_at(self) -> int:
        """Parts that stay as they are."""

    @property
    def norms_frozen(self) -> bool:
        """Whether the other parts' norms stay."""

    def stages(self) -> int:
        """How many of layer1 to layer4 the detector reads."""

    def sizes(self) -> str:
        """Image sizes in training and test, in words."""


def report(task: Asked, model: nn.Module, backbone: Backbone, recipe: Recipe | None, ranks: int) -> dict[str, Any]:
    """Facts of a detector before its first step, each as short JSON values.

    Args:
        task: what was asked for. model: what it built of `backbone`. The rest: see `transfer.task.Task.report`.

    Raises:
        UserError: pixels' mean or deviation are of another range or order; statistics of norms that nobody took; a
            part that is to be frozen learns, or one that is to learn is frozen; a norm in another mode than asked.
    """
    check_pixels(backbone.spec)
    tensors, norms = _tensors(model, backbone, task.stages()), _norms(backbone, task.stages())
    frozen = _frozen(model, norms)
    fresh = untrained(norms, backbone.name)
    if fresh and (task.norms_frozen or task.freeze_at > 0):
        raise UserError(
            f"{backbone.name}: {fresh}. Frozen so, they would not normalise: set norms_frozen=False, freeze_at=0"
        )
    _check_frozen(task, tensors, norms, frozen)
    parameters = list(model.parameters())
    fixed = [p for p in parameters if not p.requires_grad]
    learned = [p for p in parameters if p.requires_grad]
    facts = getattr(model, "facts", None)  # of another engine
    return {
        "backbone": use(
            list(backbone.model.state_dict()), len(tensors), "the head, stages that the detector does not read"
        ),
        "pixels": pixels(backbone.spec),
        "norms": _mode(task, norms, frozen, model, recipe, ranks),
        "frozen": f"{', '.join(PARTS[: task.freeze_at]) or 'no part'}; {size(fixed)} in all",
        "trained": size(learned),
        "batch": "no training" if recipe is None else _batch(recipe, ranks),
        "images": task.sizes(),
        **({} if facts is None else {"engine": facts}),
    }


def _tensors(model: nn.Module, backbone: Backbone, stages: int) -> dict[str, Tensor]:
    """Tensors of the backbone that the detector uses, by their names in the backbone file."""
    tell = getattr(model, "trunk_tensors", None)
    if tell is not None:
        return {name: tensor for name, tensor in tell().items() if not is_counter(name)}
    inside = {id(tensor) for tensor in model.state_dict(keep_vars=True).values()}
    state = _named(backbone.model, backbone.model.state_dict(keep_vars=True))
    return {name: t for name, t in state.items() if id(t) in inside and part(name) <= stages and not is_counter(name)}


def _norms(backbone: Backbone, stages: int) -> dict[str, nn.Module]:
    """BatchNorms of the backbone in the parts that the detector reads, by their names in the backbone file."""
    modules = _named(backbone.model, dict(backbone.model.named_modules()))
    return {name: m for name, m in modules.items() if isinstance(m, _BatchNorm) and part(name) <= stages}


def _named(model: nn.Module, found: dict[str, T]) -> dict[str, T]:
    """The same under the names of the backbone file, which knows no `FrozenNorm` around a norm."""
    around = [f"{name}." for name, module in model.named_modules() if isinstance(module, FrozenNorm)]
    clean = {}
    for name, value in found.items():
        prefix = next((one for one in around if f"{name}.".startswith(f"{one}norm.")), None)
        clean[name if prefix is None else (prefix + name[len(prefix) + len("norm.") :]).rstrip(".")] = value
    return clean


def _frozen(model: nn.Module, norms: dict[str, nn.Module]) -> set[str]:
    """Names of the norms that keep their statistics when the detector is trained."""
    tell = getattr(model, "frozen_norms", None)
    if tell is not None:
        return set(tell())
    mode = model.training
    model.train()
    frozen = {name for name, norm in norms.items() if not norm.training}
    model.train(mode)
    return frozen


def _check_frozen(task: Asked, tensors: dict[str, Tensor], norms: dict[str, nn.Module], frozen: set[str]) -> None:
    """Raise UserError where a parameter or a norm of the backbone is not in the mode that was asked for."""
    for name in norms:
        asked = task.norms_frozen or part(name) < task.freeze_at
        if (name in frozen) != asked:
            raise UserError(f"{name}: expected this norm {_word(asked)}, it is {_word(not asked)}")
    for name, tensor in tensors.items():
        module = name.rpartition(".")[0]
        asked = part(name) < task.freeze_at or (task.norms_frozen and module in norms)
        learns = isinstance(tensor, nn.Parameter) and tensor.requires_grad
        if (asked and learns) or (not asked and isinstance(tensor, nn.Parameter) and not learns):
            raise UserError(f"{name}: expected this parameter {_word(asked)}, it is {_word(not asked)}")


def _mode(
    task: Asked, norms: dict[str, nn.Module], frozen: set[str], model: nn.Module, recipe: Recipe | None, ranks: int
) -> str:
    """The mode of the norms in words: how many are frozen, how the others take their statistics."""
    count = f"{len(frozen)} of the backbone's {len(norms)} BatchNorms frozen"
    trained = len(norms) - len(frozen)
    own = _learning(model) - trained
    if recipe is None or not trained + own:
        return count
    if recipe.sync_batchnorm and ranks > 1:
        how = f"synchronised over {ranks} processes ({recipe.batch_size // recipe.accumulate} images)"
    else:
        images = max(1, recipe.batch_size // recipe.accumulate // ranks)
        how = f"trained on {many(images, 'image')} each time"
        how += " (sync_batchnorm has no effect with one process)" if recipe.sync_batchnorm else ""
    return f"{count}, {trained} {how}" + (f"; {own} of the detector's own trained" if own else "")


def _learning(model: nn.Module) -> int:
    """How many BatchNorms of a model take statistics when it is trained."""
    mode = model.training
    model.train()
    count = sum(isinstance(m, _BatchNorm) and m.training for m in model.modules())
    model.train(mode)
    return count


def _batch(recipe: Recipe, ranks: int) -> str:
    each = recipe.batch_size // recipe.accumulate // ranks
    parts = f"{many(ranks, 'process', 'es')} x {many(recipe.accumulate, 'micro-batch', 'es')} x {each}"
    return f"{many(recipe.batch_size, 'image')} a step: {parts}"


def _word(frozen: bool) -> str:
    return "frozen" if frozen else "trained"
