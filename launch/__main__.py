"""`python -m launch TABLE`: runs the cells of a table that are not done yet, then prints the table."""

import argparse
import contextlib
import fcntl
import functools
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from core.errors import UserError
from eval.errors import EvalError
from eval.load import find_table, load
from eval.table import Table, cells
from launch import plan, report
from launch.machine import slots
from launch.plan import STAGES, PlannedCell, Source
from launch.pool import Pool, PoolError
from launch.progress import watcher
from launch.run import Ended, Fate, Launch
from launch.worker import PRELOAD


@dataclass
class Stop:
    """Counts the signals that ask the launch to stop: the first one ends it in order, the second at once."""

    number: int = 0
    times: int = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """A signal came."""
        self.number, self.times = number, self.times + 1

    def install(self) -> None:
        """Take Ctrl-C, SIGTERM and SIGHUP; one that is ignored (nohup) stays so."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 all done, 1 a cell failed, 2 something the user can mend first, 128 + n stopped by signal n."""
    args = parser().parse_args(argv)
    try:
        return _main(args)
    except (UserError, EvalError, PoolError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("stopped before the first cell\n")
        return 128 + signal.SIGINT


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(prog="python -m launch", description=__doc__)
    found.add_argument("table", help="a table file, or the name of one in configs/tables")
    found.add_argument("--runs", type=Path, default=Path("runs"), help="folder of all runs (default: runs)")
    found.add_argument("--data-root", type=Path, help="folder of the data sets (default: as the configs say)")
    found.add_argument(
        "--rows", type=_words, default=[], help="rows to run, by name or key, with commas (default: all)"
    )
    found.add_argument("--columns", type=_words, default=[], help="columns to run, the same way (default: all)")
    found.add_argument("--seeds", type=_seeds, default=(), help="seeds instead of the table's: 0,1,2")
    found.add_argument(
        "--stage", choices=STAGES, help="only the cells of this stage, and those that they need; prints its columns"
    )
    found.add_argument("--jobs", type=_positive, help="cells at once (default: one per GPU, else one per CPU core)")
    found.add_argument(
        "--dry-run", action="store_true", help="list the cells and what they need; run and write nothing"
    )
    found.add_argument("--force", action="store_true", help="replace runs of other configs in the cells' folders")
    found.add_argument("--grace", type=float, default=10.0, help="seconds that a stopped cell has to end (default: 10)")
    found.add_argument("--preload", type=_words, default=list(PRELOAD), help=argparse.SUPPRESS)  # for tests
    return found


def _main(args: argparse.Namespace) -> int:
    source = Source(_table_file(args.table), args.runs, args.data_root, args.seeds)
    whole = load(source.table, Table).select(seeds=args.seeds)
    chosen = whole.select(args.rows, args.columns)
    if args.stage not in (None, "pretrain"):
        args.columns = [column.key for column in chosen.columns if column.steps[-1].startswith(f"{args.stage}/")]
        if not args.columns:
            raise UserError(f"table {whole.name}: no column that was chosen ends in {args.stage}/")
        chosen = chosen.select((), args.columns)
    keys = {cell.key for cell in cells(chosen)}
    if args.dry_run:
        resolved = plan.get(whole.name, source, write=False, say=_say)
        _say(report.dry_run(chosen.name, _chosen(resolved.cells, keys, args.stage), args.runs))
        return 0
    with _only_one(whole.name, args.runs):
        resolved = plan.get(whole.name, source, write=True, say=_say)
        return _run(args, whole.name, source, _chosen(resolved.cells, keys, args.stage))


def _run(args: argparse.Namespace, name: str, source: Source, todo: list[PlannedCell]) -> int:
    began, stop = time.monotonic(), Stop()
    stop.install()
    # Data may change out of the plan's sight (an image rewritten in place); a result then tells.
    forget = functools.partial(plan.plan_path(name, source.runs).unlink, missing_ok=True)
    ends = _launch(args, todo, stop, forget)
    if any(ended.fate is not Fate.SKIPPED for ended in ends):
        _say("\n" + report.summary(ends, time.monotonic() - began))
    if stop.times:
        _say(f"stopped by {signal.Signals(stop.number).name}; the same command goes on from here")
        return 128 + stop.number
    failed = any(ended.fate not in (Fate.DONE, Fate.SKIPPED) for ended in ends)
    if args.stage == "pretrain":  # no column ends there
        _say(f"{sum(ended.fate in (Fate.DONE, Fate.SKIPPED) for ended in ends)} of {len(ends)} cells are done")
        return int(failed)
    printed = _print_table(args, source)
    return 1 if failed else printed


@contextlib.contextmanager
def _only_one(name: str, runs: Path) -> Iterator[None]:
    """Refuse a second launch of a table below the same runs: both would write the same folders."""
    path = runs / "tables" / f".{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"table {name} is being launched already in {runs}; wait for that launch or stop it"
            ) from None
        except OSError:  # a file system without locks
            pass
        yield


def _chosen(planned: Sequence[PlannedCell], keys: set[str], stage: str | None) -> list[PlannedCell]:
    """The planned cells with these keys; with a stage, those of it and what they need."""
    if stage is not None:
        keys = {cell.key for cell in planned if cell.key in keys and cell.stage == stage}
        for cell in reversed(planned):  # what is needed comes earlier
            keys |= set(cell.needs) if cell.key in keys else set()
    return [cell for cell in planned if cell.key in keys]


def _launch(args: argparse.Namespace, todo: list[PlannedCell], stop: Stop, forget: Callable[[], None]) -> list[Ended]:
    pool = Pool(slots(args.jobs), preload=args.preload, grace=args.grace)
    try:
        with watcher(todo, args.runs, len(pool.slots), sys.stdout) as shown:
            return Launch(todo, args.runs, pool, shown, args.force, lambda: stop.times > 0, forget).run()
    finally:
        if stop.times:
            _say(f"stopping; what runs has {args.grace:g} s to end, a second signal ends it at once")
        pool.close(hurry=lambda: stop.times > 1)


def _print_table(args: argparse.Namespace, source: Source) -> int:
    """Print the table and write its files, as `python -m eval table` does; its exit code."""
    from eval.__main__ import main as evaluate

    words = ["table", str(source.table), "--runs", str(args.runs)]
    for option, values in (("--rows", args.rows), ("--columns", args.columns), ("--seeds", args.seeds)):
        words += [option, ",".join(map(str, values))] if values else []
    return evaluate(words)


def _table_file(name: str) -> Path:
    """The file of a table, relative to here where it lies below, as commands show it."""
    file = find_table(name).absolute()
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _seeds(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in _words(text))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}, expected at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
