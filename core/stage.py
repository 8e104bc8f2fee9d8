"""What the configs of all stages share, a cell's digest, and the device that it runs on.

This module imports torch only where a cell runs, so that digests cost nothing. `core.command` is the command line.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core import provenance
from core.config import digest, plain, unhashed
from core.data.records import Need
from core.data.synthetic import World
from core.errors import UserError
from core.run import Run

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True, kw_only=True)
class Stage(ABC):
    """What the configs of all stages share."""

    seed: int = 0
    """Seed of everything random: weights, data order, augmentation, mixing."""
    data_root: Path | None = unhashed(None)
    """Folder that holds the data sets. Default: the synthetic world's own folder, or ./data."""
    world: World | None = None
    """Synthetic world to write first, where no data root is given."""
    device: Literal["auto", "cpu", "cuda", "mps"] = unhashed("auto")
    """Where to run; "auto": on a GPU where there is one."""
    workers: int = unhashed(0)
    """Processes that load data; 0: in this process."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Lightning Fabric's precision: "32-true", "bf16-mixed", "16-mixed"."""
    checkpoint_every: float = unhashed(300.0)
    """Seconds between checkpoints; one is also written on SIGTERM and at the end of training."""
    log_every: float = unhashed(10.0)
    """Seconds between progress lines where there is no terminal."""
    compile: bool = unhashed(False)
    """Compile the network with torch.compile where it is trained, for each shape of a batch by itself: minutes at the
    start, faster steps after."""
    tensorboard: bool = unhashed(False)
    """Write metrics.jsonl's numbers for TensorBoard too, into the run's folder."""

    def __post_init__(self) -> None:
        """Check the fields; a stage that checks its own calls this too."""
        for name in ("workers", "checkpoint_every", "log_every"):
            if not getattr(self, name) >= 0:  # NaN too
                raise UserError(f"{name}: expected 0 or more, got {getattr(self, name)}")

    @abstractmethod
    def needs(self) -> tuple[Need, ...]:
        """The data sets and splits that a cell of this config reads."""

    @abstractmethod
    def images(self, count: Callable[[Need], int]) -> int:
        """How many images a cell of this config processes, given the number of images in each split."""

    def some_unused(self) -> bool:
        """Whether in some steps trained parameters have no part in the loss. Default: no.

        Several processes then look for them in each step, which costs some time; a parameter without a part stays as it
        is, its optimizer's state too.
        """
        return False

    @property
    def root(self) -> Path:
        """The folder that holds the data sets."""
        if self.data_root is not None:
            return self.data_root
        return self.world.default_root() if self.world is not None else Path("data")

    def prepare(self) -> None:
        """Write the synthetic world if this config reads one and it is not there yet."""
        if self.data_root is None and self.world is not None:
            self.world.ensure(self.root)


@dataclass(frozen=True)
class Metric:
    """A number with what is needed to read it. value: None where it does not apply (`Outcome.more` says why)."""

    value: float | None
    unit: str
    higher_is_better: bool


@dataclass(frozen=True)
class Outcome:
    """What a cell found: its metrics, and anything else worth keeping in result.json."""

    metrics: dict[str, Metric]
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One cell under way: its folder, the data's root, its config, the backbone's source, and the device (`fabric`)."""

    run: Run
    root: Path
    config: Stage
    backbone: str | None
    fabric: "Fabric"
    row: str
    shared: Path | None = None
    """The folder of all runs, for what cells share; None: the one that the cell's own folder lies in."""


def fingerprint(config: Stage) -> str:
    """16 hexadecimal digits of the data that a config reads: ids, sizes and annotations, not where they lie.

    Raises:
        UserError: a data set is missing or has the wrong layout.
    """
    root = config.root
    return digest(
        [
            [need.data.name, need.split, need.data.fingerprint(root, need.split, boxes=need.boxes)]
            for need in config.needs()
        ]
    )


def cell_digest(config: Stage, data: str, upstream: str | None) -> str:
    """The digest of a cell: its config, its data's fingerprint, and the digest of the step before."""
    return digest({"config": plain(config, hashed_only=True), "data": data, "upstream": upstream})


def upstream_digest(backbone: str | None) -> str | None:
    """The digest of the step that a backbone comes from: of its run, of the file, or the library's name.

    Raises:
        UserError: a run that is not done, or a file that does not exist.
    """
    if backbone is None:
        return None
    path = Path(backbone)
    if path.is_dir():
        return str(provenance.read_result(path)["digest"])
    if path.is_file():
        return "sha256:" + provenance.sha256(path)
    if backbone.partition(":")[0] in ("timm", "torchvision"):
        return backbone
    raise UserError(f"backbone {backbone}: expected a run folder, a .safetensors file, timm:NAME or torchvision:NAME")


def refuse_missing_device(config: Stage) -> None:
    """UserError: the device that a config asks for is not there."""
    import torch

    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda: expected a CUDA device, torch sees none; use --device auto or cpu")
    if config.device == "mps" and not torch.backends.mps.is_available():
        raise UserError("device=mps: expected an Apple GPU, torch sees none; use --device auto or cpu")


def fabric(config: Stage, index: int | None = None) -> "Fabric":
    """The device and precision that a config asks for, in one process; `core.processes` has that of several.

    Args:
        config: names the device and the precision.
        index: which of several GPUs; None: the first.

    Raises:
        UserError: there is no such device.
    """
    from lightning_fabric import Fabric

    refuse_missing_device(config)
    # One device and one process a cell: Fabric takes no note of torchrun's other processes with devices=1.
    devices = 1 if index is None else [index]
    found = Fabric(accelerator=config.device, devices=devices, precision=config.precision)
    found.launch()
    return found
