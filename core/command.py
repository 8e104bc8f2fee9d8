"""What every stage's command does: read the config, refuse or skip, run, write the result last.

`python -m <stage> CONFIG [--run DIR] [--backbone SOURCE] [--row NAME] [--force] [--config.fields ...]`

A stage may take several configs, whose cells then run side by side, and several processes for one config.
This module imports torch only where a cell runs, so that digests cost nothing.
"""

import argparse
import errno
import logging
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from core import memory, processes
from core.cell import Cell, StageT
from core.config import load, override
from core.errors import UserError
from core.run import RESULT, Run
from core.seeding import derive
from core.stage import Job, Outcome, fabric

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_log = logging.getLogger(__name__)
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)  # what a user can mend about a disk


@dataclass(frozen=True)
class Command(Generic[StageT]):
    """What a stage's command runs."""

    stage: str
    """"pretrain", "transfer" or "wsol": the first folder below runs/."""
    kind: type[StageT]
    """The class that the config must be of."""
    execute: Callable[[StageT, Job], Outcome]
    """Runs a cell."""
    together: Callable[[Sequence[tuple[StageT, Job]]], Sequence[Outcome | UserError]] | None = None
    """Runs several cells side by side: for each what it found, or why it stopped. None: one config a call."""
    check_together: Callable[[Mapping[str, StageT]], None] | None = None
    """Refuses configs, by name, that cannot be run side by side, with a UserError."""
    several_processes: bool = False
    """Whether torchrun may start it: then `execute` runs in every process, and the first alone writes."""
    takes_backbone: bool = True
    """Whether its cells start from a backbone; else --backbone is refused, and not offered."""
    prog: str = ""
    """The command's name in messages; empty: `python -m <stage>`."""
    errors: type[Exception] = UserError
    """An exception beside UserError that is the user's to mend."""

    @property
    def name(self) -> str:
        """The command's name in messages."""
        return self.prog or f"python -m {self.stage}"

    def main(self, argv: Sequence[str] | None) -> int:
        """Run the command line after `python -m <stage>`.

        Returns the exit code: 0 done (now or before), 2 something the user can mend, 1 a crash, 130 stopped.
        """
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout, force=True)
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        try:
            return self._main(list(sys.argv[1:] if argv is None else argv))
        except (UserError, self.errors) as error:
            print(f"error: {error}", file=sys.stderr, flush=True)  # noqa: T201
            return 2
        except KeyboardInterrupt:
            said = "stopped; the same command goes on from the last checkpoint"
            print(said, file=sys.stderr, flush=True)  # noqa: T201
            return 130
        except OSError as error:
            if error.errno not in _DISK:
                traceback.print_exc()
                return 1
            print(f"error: {error}; nothing finished is lost, the same command goes on", file=sys.stderr)  # noqa: T201
            return 2
        except Exception:  # a crash: the code 1 tells the launcher so, and the traceback goes to the cell's log
            traceback.print_exc()
            return 1

    def _main(self, argv: list[str]) -> int:
        parser = _parser(self.name, several=self.together is not None, backbone=self.takes_backbone)
        argv = argv[1:] if argv[:1] == ["--"] else argv  # torchrun's end of its own options, which it may pass on
        if not argv or argv[0] in ("-h", "--help"):
            print(parser.format_help())  # noqa: T201
            return 0 if argv else 2
        options, rest = parser.parse_known_args(argv)
        cells = self._cells(options, rest)
        if processes.count() > 1:
            return self._in_several_processes(cells, force=options.force)
        jobs: list[tuple[Cell[StageT], Job]] = []
        for cell in cells:
            cell.config.prepare()
            run = cell.open(force=options.force)
            if not _done(cell, run):
                jobs.append((cell, self._job(cell, run, _device(cell, len(jobs), len(cells)))))
        return self._run(jobs)

    def _cells(self, options: argparse.Namespace, rest: list[str]) -> list[Cell[StageT]]:
        if options.backbone is not None and not self.takes_backbone:
            raise UserError(f"`{self.name}` starts from random weights and takes no --backbone")
        cells: list[Cell[StageT]] = []
        seen: dict[tuple[str, str], Any] = {}
        for name in options.configs:
            config = load(name)
            if not isinstance(config, self.kind):
                raise UserError(
                    f"{name}: expected a {self.kind.__name__} for `{self.name}`, it defines a {type(config).__name__}"
                )
            config = override(config, rest, prog=f"{self.name} {name}")
            stem = Path(name).stem
            given = (options.backbone, options.row, options.run, options.runs)
            cells.append(Cell(self.stage, stem, config, *given, seen))
        if len(cells) > 1 and (options.run or options.row):
            raise UserError("--run and --row are for one config; several get their folders below --runs")
        folders = [cell.folder for cell in cells]
        if twice := {str(folder) for folder in folders if folders.count(folder) > 1}:
            raise UserError(f"expected each config once, several have the folder {', '.join(sorted(twice))}")
        if len(cells) > 1 and self.check_together is not None:
            self.check_together({cell.stem: cell.config for cell in cells})
        return cells

    def _in_several_processes(self, cells: list[Cell[StageT]], *, force: bool) -> int:
        """One cell, data-parallel: the first process opens the run and writes the result."""
        if not self.several_processes:
            raise UserError(
                f"WORLD_SIZE={processes.count()}: expected one process a cell: `{self.name}` runs on one device. Start "
                "the command without torchrun; `python -m launch` runs one cell on each GPU"
            )
        if len(cells) > 1:
            raise UserError(
                f"WORLD_SIZE={processes.count()} and {len(cells)} configs: expected one config for several processes; "
                "without torchrun one process trains them side by side, on a GPU each where there are several"
            )
        cell = cells[0]
        team = processes.fabric(cell.config)
        if not team.is_global_zero:
            logging.getLogger().setLevel(logging.WARNING)
        opened: list[Run] = []

        def first() -> tuple[str, bool]:
            cell.config.prepare()
            opened.append(cell.open(force=force))
            return opened[0].digest, opened[0].done

        digest, done = processes.agree(team, first)
        run = opened[0] if opened else Run(cell.folder, digest)
        if done:
            _done(cell, run)
        code = 0 if done else self._run([(cell, self._job(cell, run, team))])
        processes.leave(team)
        return code

    def _job(self, cell: Cell[StageT], run: Run, device: "Fabric") -> Job:
        row, _ = cell.row_and_steps
        if device.device.type == "cpu":
            memory.keep_freed()
        job = Job(run, cell.config.root, cell.config, cell.backbone, device, row, cell.shared)
        ranks = f", {device.world_size} processes" if device.world_size > 1 else ""
        _log.info("%s: %s on %s%s", cell.folder, cell.stem, device.device, ranks)
        return job

    def _run(self, jobs: list[tuple[Cell[StageT], Job]]) -> int:
        """Run what is not done yet; each that ends well has its result, whatever becomes of the others."""
        if not jobs:
            return 0
        _seed(jobs[0][0].config.seed)
        if len(jobs) == 1:
            found: Sequence[Outcome | UserError] = [self.execute(jobs[0][0].config, jobs[0][1])]
        else:
            assert self.together is not None
            found = self.together([(cell.config, job) for cell, job in jobs])
        problems = []
        for (cell, job), outcome in zip(jobs, found, strict=True):
            if isinstance(outcome, UserError):
                problems.append(f"{cell.folder}: {outcome}")
            elif job.fabric.is_global_zero:
                cell.finish(job, outcome)
                _show(cell if len(jobs) > 1 else None, outcome)
        if problems:
            raise UserError("\n".join(problems))
        return 0


def _done(cell: Cell[StageT], run: Run) -> bool:
    if run.done:
        _log.info("%s is done already (digest %s)", cell.folder / RESULT, run.digest)
    return run.done


def _show(cell: Cell[StageT] | None, outcome: Outcome) -> None:
    for name, metric in outcome.metrics.items():
        value = "n/a" if metric.value is None else f"{metric.value:.2f} {metric.unit}"
        _log.info("%s%s: %s", f"{cell.stem}: " if cell else "", name, value)


def _device(cell: Cell[StageT], position: int, cells: int) -> "Fabric":
    """The device of a cell: cells side by side take the GPUs in turn, where there are several."""
    import torch

    gpus = torch.cuda.device_count() if cell.config.device in ("auto", "cuda") else 0
    return fabric(cell.config, position % gpus if cells > 1 and gpus > 1 else None)


def _seed(seed: int) -> None:
    """Fresh weights are the same for every row of a seed, so that rows are compared in pairs."""
    import torch

    torch.manual_seed(derive(seed, "weights"))


def _parser(prog: str, *, several: bool, backbone: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        usage=f"{prog} CONFIG{' [CONFIG ...]' if several else ''} [options] [--field.of.the.config VALUE ...]",
        epilog=f"`{prog} CONFIG --help` lists the fields of that config.",
        allow_abbrev=False,
        add_help=False,  # of a config: tyro gives it
    )
    side = "; several are trained side by side from one stream of images, with the same fields overridden"
    parser.add_argument(
        "configs",
        metavar="CONFIG",
        nargs="+" if several else 1,
        help=f"a config file, or its name below configs/{side if several else ''}",
    )
    parser.add_argument("--run", type=Path, help="the run's folder (default: from the config's name)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="the folder of all runs")
    source = "a run folder, a .safetensors file, timm:NAME or torchvision:NAME"
    parser.add_argument("--backbone", help=source if backbone else argparse.SUPPRESS)
    where = "from the backbone, or from --run" if backbone else "from --run, or the config's name"
    parser.add_argument("--row", help=f"the row's name in tables (default: {where})")
    parser.add_argument("--force", action="store_true", help="replace what is in the run's folder")
    return parser
