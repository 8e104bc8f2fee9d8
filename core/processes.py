"""One cell in several processes, a device each: torchrun's variables, their Fabric, and what the first alone does.

`torchrun --nproc-per-node 4 -m pretrain -- CONFIG`. The first process (rank 0) opens the run's folder and writes to it;
the others take its word for how that went.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from core.errors import UserError
from core.stage import Stage, refuse_missing_device

if TYPE_CHECKING:
    from lightning_fabric import Fabric

T = TypeVar("T")


def count() -> int:
    """How many processes there are, as torchrun says; 1 without it. UserError: the variable holds no such number."""
    value = os.environ.get("WORLD_SIZE", "1")
    if not value.isdecimal() or int(value) < 1:
        raise UserError(f"WORLD_SIZE={value}: expected the number of processes, as torchrun sets it")
    return int(value)


def fabric(config: Stage) -> "Fabric":
    """Fabric over all processes, launched. UserError: too few devices, or torchrun's variables are not all set.

    On CPUs the processes talk by gloo, on GPUs by NCCL.
    """
    from lightning_fabric import Fabric

    refuse_missing_device(config)
    processes = count()
    lacking = [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if lacking:
        raise UserError(f"WORLD_SIZE={processes} without {', '.join(lacking)}: expected the variables of torchrun")
    here = int(os.environ.get("LOCAL_WORLD_SIZE", processes))
    _refuse_too_few_gpus(config, here)
    found = Fabric(
        accelerator=config.device,
        devices=here,
        num_nodes=processes // here,
        strategy="ddp_find_unused_parameters_true" if config.some_unused() else "ddp",
        precision=config.precision,
    )
    found.launch()
    return found


def _refuse_too_few_gpus(config: Stage, here: int) -> None:
    import torch

    gpus = torch.cuda.device_count() if config.device in ("auto", "cuda") else 0
    if 0 < gpus < here:
        raise UserError(f"{here} processes on this machine: expected a GPU for each, torch sees {gpus}")


def agree(fabric: "Fabric", act: Callable[[], T]) -> T:
    """What `act` returns in the first process, in all of them; it is called in the first alone.

    Raises:
        UserError: `act` raised one; every process raises it.
    """
    said: tuple[Any, str | None] = (None, None)
    if fabric.is_global_zero:
        try:
            said = (act(), None)
        except UserError as error:
            said = (None, str(error))
    value, problem = fabric.broadcast(said)
    if problem is not None:
        raise UserError(problem)
    found: T = value
    return found


def leave(fabric: "Fabric") -> None:
    """Wait for the others, then end their group: NCCL complains of one that is left to the process's exit."""
    import torch

    fabric.barrier()
    torch.distributed.destroy_process_group()
