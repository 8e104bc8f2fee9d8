"""Several processes as one data-parallel job on the CPU, forked from the test, so that none imports torch anew."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

Work = Callable[[Fabric, Path], Any]


def in_ranks(work: Work, folder: Path, ranks: int = 2, seconds: float = 60.0) -> list[Any]:
    """What `work` returned in each of `ranks` processes (what torch.save can hold), in their order."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_one, args=(work, folder, rank, ranks, port)) for rank in range(ranks)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(seconds)
        process.kill()
        process.join()
    assert [process.exitcode for process in processes] == [0] * ranks
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(ranks)]


def _one(work: Work, folder: Path, rank: int, ranks: int, port: int) -> None:
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), LOCAL_RANK=str(rank), NODE_RANK="0")
    fabric = Fabric(accelerator="cpu", devices=ranks, strategy="ddp")
    fabric.launch()
    torch.save(work(fabric, folder), folder / f"rank{rank}.pt")
    fabric.barrier()
