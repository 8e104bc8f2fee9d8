"""What this machine offers to cells: GPUs, CPU cores, and the environment that suits a slot. Imports no torch."""

import math
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Slot:
    """A place where one cell runs at a time.

    Attributes:
        index: 0, 1, ...
        gpu: what CUDA_VISIBLE_DEVICES becomes; None where there are no GPUs.
        threads: CPU threads of its cells.
    """

    index: int
    gpu: str | None
    threads: int

    def environment(self) -> dict[str, str]:
        """The variables that this slot's worker gets on top of the launcher's own."""
        variables = dict.fromkeys(_THREADS, str(self.threads))
        if self.gpu is not None:
            # Else torch.cuda.is_available() would initialise CUDA in the worker, and no child could use it then.
            return {**variables, "CUDA_VISIBLE_DEVICES": self.gpu, "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
        return variables


def slots(
    jobs: int | None = None, environ: Mapping[str, str] = os.environ, device_folder: Path = Path("/dev")
) -> list[Slot]:
    """The slots for `jobs` cells at once; None: one per GPU, or one per CPU core where there is no GPU.

    More jobs than GPUs share them in turn. The cores are divided among the slots; OMP_NUM_THREADS, where it is set,
    is the most that a slot takes.
    """
    found = gpus(environ, device_folder)
    cores = cpu_cores()
    count = jobs if jobs is not None else len(found) or cores
    threads = max(1, cores // count)
    limit = environ.get("OMP_NUM_THREADS", "")
    if limit.isdigit() and int(limit) > 0:
        threads = min(threads, int(limit))
    return [Slot(i, found[i % len(found)] if found else None, threads) for i in range(count)]


def gpus(environ: Mapping[str, str] = os.environ, device_folder: Path = Path("/dev")) -> list[str]:
    """The GPUs that a process may use, as CUDA_VISIBLE_DEVICES names them: ["0", "1"]; empty where there are none."""
    if not any(device_folder.glob("nvidia[0-9]*")) and not (device_folder / "dxg").exists():
        return []
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        # CUDA itself stops at the first name that is none: "0,-1,1" is "0".
        end = next((i for i, name in enumerate(names) if name in ("", "-1", "none", "NoDevFiles")), len(names))
        return names[:end]
    listed = _nvidia_smi()
    count = listed if listed is not None else len(list(device_folder.glob("nvidia[0-9]*")))
    return [str(index) for index in range(count)]


def _nvidia_smi() -> int | None:
    """How many GPUs nvidia-smi lists; None where it is absent, fails or hangs."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        done = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return sum(line.startswith("GPU ") for line in done.stdout.splitlines())


def cpu_cores(cgroup: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """The cores that this process may use: its affinity, or the container's quota where that is less."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = cgroup.read_text().split()
        return max(1, min(cores, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no cgroup v2, or "max": no quota
        return cores
