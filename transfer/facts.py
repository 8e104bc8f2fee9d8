"""A network before its first step, in words and numbers, and what of it is refused: shared by tasks' reports."""

from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor, nn

from core.backbone import IMAGENET_MEAN, Spec
from core.errors import UserError


def check_pixels(spec: Spec) -> None:
    """Raise UserError where mean and std are not those of RGB pixels in 0..1."""
    mean, std = spec.mean, spec.std
    if not all(0 <= m <= 1 for m in mean) or not all(0 < s <= 1 for s in std):
        raise UserError(
            f"{spec.source or spec.architecture}: expected the mean and standard deviation of pixels in 0..1, got "
            f"{mean} and {std}: for those in 0..255 divide by 255"
        )
    reverse = tuple(reversed(IMAGENET_MEAN))
    if max(abs(a - b) for a, b in zip(mean, reverse, strict=True)) < 0.01:
        raise UserError(
            f"{spec.source or spec.architecture}: the mean {mean} is ImageNet's in the order blue, green, red; images "
            "are given as red, green, blue here: convert the first convolution's weights and turn mean and std round"
        )


def pixels(spec: Spec) -> str:
    """How the network's input is normalised."""
    return f"RGB in 0..1, mean {_numbers(spec.mean)}, std {_numbers(spec.std)}"


def use(names: Sequence[str], used: int, unused_are: str) -> str:
    """What became of all tensors of a backbone, by their names, of which a task uses `used`."""
    counters = sum(map(is_counter, names))
    said = f"{many(len(names), 'tensor')}, none missing, none unexpected: {used} used as loaded"
    if unused := len(names) - counters - used:
        said += f", {unused} not used ({unused_are})"
    return said + (f", {many(counters, 'counter')} of BatchNorm (no result depends on these)" if counters else "")


def is_counter(name: str) -> bool:
    """Whether a tensor of this name counts a BatchNorm's batches."""
    return name.endswith("num_batches_tracked")


def untrained(norms: Mapping[str, nn.Module], source: str) -> str | None:
    """That all BatchNorms are as they were born, in words; None: they are not.

    Args:
        norms: by their names in the backbone file. source: what messages call the backbone.

    Raises:
        UserError: a running variance is all zero.
    """
    taken = {name: m for name, m in norms.items() if isinstance(m.running_var, Tensor)}
    for name, norm in taken.items():
        if not norm.running_var.any():  # type: ignore[operator]  # it is a tensor
            raise UserError(f"{source}: {name}: its running variance is all zero: no network was trained with that")
    if not taken or not all(map(_is_fresh, taken.values())):
        return None
    return (
        f"all {len(taken)} BatchNorms have the statistics that they are born with (mean 0, variance 1): "
        "the backbone was never trained"
    )


def _is_fresh(norm: nn.Module) -> bool:
    mean, variance = norm.running_mean, norm.running_var
    assert isinstance(mean, Tensor)
    assert isinstance(variance, Tensor)
    return not mean.any() and bool((variance == 1).all())


def size(parameters: Iterable[nn.Parameter]) -> str:
    """How many parameters in how many tensors."""
    counts = [p.numel() for p in parameters]
    return f"{many(sum(counts), 'parameter')} in {many(len(counts), 'tensor')}"


def many(count: int, noun: str, ending: str = "s") -> str:
    """A number with its noun, in the plural where it is one."""
    return f"{count:,} {noun}{'' if count == 1 else ending}"


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4g}" for value in values)
