"""What a table costs: `python -m benchmarks.quick [--table quick] [--data-root DIR] [--out FILE]`.

Runs the table from nothing in an empty folder of runs, and prints the wall time (with writing the synthetic world where
it is not there yet), the largest memory of all its processes together (proportional set size, smaps_rollup), the mean
seconds of each kind of cell, then the time of a second launch that has nothing to do, and of `python -m eval table`.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any


def main() -> None:
    """Measure and print; write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--table", default="quick")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--runs", type=Path, help="keep the runs here (must be empty); default: a temporary folder")
    parser.add_argument("--out", type=Path, help="write the numbers to this JSON file")
    args = parser.parse_args()
    runs = args.runs or Path(tempfile.mkdtemp(prefix="quick_runs"))
    if runs.exists() and any(runs.iterdir()):
        raise SystemExit(f"{runs}: expected an empty folder, so that nothing is skipped")
    words = [args.table, "--runs", str(runs), *(["--data-root", str(args.data_root)] if args.data_root else [])]
    jobs = ["--jobs", str(args.jobs)] if args.jobs else []
    found: dict[str, Any] = {"table": args.table, "machine": machine()}
    found["first_s"], found["peak_mib"] = measured([sys.executable, "-m", "launch", *words, *jobs])
    found["second_s"], _ = measured([sys.executable, "-m", "launch", *words, *jobs])
    found["eval_table_s"], _ = measured([sys.executable, "-m", "eval", "table", args.table, "--runs", str(runs)])
    found["cells"] = seconds_per_config(runs)
    found.update(provenance(runs))
    print(json.dumps(found, indent=1))
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")
    if args.runs is None:
        shutil.rmtree(runs)


def measured(command: list[str]) -> tuple[float, float]:
    """Wall seconds of a command, and the largest memory in MiB of it and all that it started."""
    started, peak = time.monotonic(), 0.0
    process = subprocess.Popen(command, stdout=sys.stderr)
    while process.poll() is None:
        peak = max(peak, sum(map(pss, family(process.pid))))
        with contextlib.suppress(subprocess.TimeoutExpired):  # a look costs milliseconds for each process
            process.wait(timeout=2)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return round(time.monotonic() - started, 2), round(peak / 1024)


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for parent in found:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:
            continue  # it has ended meanwhile
    return found


def pss(pid: int) -> float:
    """Proportional set size in KiB: shared pages count by their share, so that forks add up to what is really used."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) for line in lines if line.startswith("Pss:")), 0.0)


def seconds_per_config(runs: Path) -> dict[str, float]:
    """Mean seconds of the cells of each config."""
    seconds = defaultdict(list)
    for path in runs.rglob("result.json"):
        result = json.loads(path.read_text())
        kind = result["stage"] if result["stage"] == "pretrain" else f"{result['stage']}/{result['config']}"
        seconds[kind].append(result["seconds"])
    return {name: round(mean(values), 1) for name, values in sorted(seconds.items())}


def provenance(runs: Path) -> dict[str, Any]:
    """Commit and versions of one of the results."""
    result = json.loads(next(runs.rglob("result.json")).read_text())
    return {"commit": result["commit"], "versions": result["versions"]}


def machine() -> str:
    """The processor, the cores that this process may use, and Python's version."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    return f"{model}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
