"""What a network's training step costs an image, and what the device allows: FLOPs against bytes of activations."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def roofline(model: nn.Module, size: int, device: torch.device) -> dict[str, float]:
    """What an image costs in FLOPs and in bytes of activations, and what the device's own speed at both allows."""
    model = model.to(device).train()
    flops, moved = flops_of_an_image(model, size, device), bytes_of_an_image(model, size, device)
    by_flops, by_bytes = tensor_flops(device), copied_bytes(device)
    return {
        "gflop_an_image": flops / 1e9,
        "activation_mb_an_image": moved / 1e6,
        "measured_tflops": by_flops / 1e12,
        "measured_tb_per_second": by_bytes / 1e12,
        "images_per_second_by_flops": by_flops / flops,
        "images_per_second_by_bytes": by_bytes / moved,
    }


def flops_of_an_image(model: nn.Module, size: int, device: torch.device) -> float:
    """Floating-point operations of forward and backward (a multiply and an add are two)."""
    counter = FlopCounterMode(display=False)
    with counter:
        model(torch.randn(2, 3, size, size, device=device)).sum().backward()
    return float(counter.get_total_flops()) / 2


class _Sums(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the values of sums of two batches of activations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.values = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func in (torch.ops.aten.add.Tensor, torch.ops.aten.add_.Tensor) and made.ndim == 4:
            self.values += made.numel()
        return made


def bytes_of_an_image(model: nn.Module, size: int, device: torch.device, width: int = 2) -> float:
    """Bytes of activations read and written, at `width` bytes a value, where nothing is fused.

    x: a layer's input, y: its output. Convolution: x and y three times each (forward, gradient of x, of the weights).
    Batch norm: y eight times (statistics, normalising; two passes backward). Activation: y five times. Sum of two
    branches: six times (two read and one written, forward and, where the branches meet again, backward).
    """
    total = 0

    def count(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += 3 * (given[0].numel() + made.numel())
        elif isinstance(module, nn.BatchNorm2d):
            total += 8 * made.numel()
        elif isinstance(module, nn.ReLU):
            total += 5 * made.numel()

    hooks = [module.register_forward_hook(count) for module in model.modules()]
    with torch.no_grad(), _Sums() as sums:
        model(torch.randn(1, 3, size, size, device=device).expand(2, -1, -1, -1))
    total += 6 * sums.values
    for hook in hooks:
        hook.remove()
    return float(width * total / 2)


def tensor_flops(device: torch.device, side: int = 8192) -> float:
    """Floating-point operations a second of a large bf16 product of matrices."""
    a = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    return 2 * side**3 / _best(lambda: torch.mm(a, a), device)


def copied_bytes(device: torch.device, count: int = 2**30) -> float:
    """Bytes read and written a second."""
    a, b = (torch.empty(count, dtype=torch.uint8, device=device) for _ in range(2))
    return 2 * count / _best(lambda: b.copy_(a), device)


def _best(call: Callable[[], object], device: torch.device, calls: int = 10) -> float:
    """Seconds of a call, in the best of a few turns."""
    times = []
    for _ in range(5):
        wait(device)
        began = time.perf_counter()
        for _ in range(calls):
            call()
        wait(device)
        times.append((time.perf_counter() - began) / calls)
    return min(times)
