"""A folder with fake stages: packages whose `main` does what the config's name says, without torch."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from launch.plan import PlannedCell

# `--do` is a Python expression; "run" is the cell's folder. It ends with a result unless the expression says otherwise.
STAGE = """
import json, os, signal, sys, time
from pathlib import Path

def option(argv, name):
    return argv[argv.index(name) + 1] if name in argv else None

def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    run = Path(option(argv, "--run"))
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.json").write_text(json.dumps({"digest": run.as_posix()}))
    source = option(argv, "--backbone")
    if source is not None and not (Path(source) / "result.json").is_file():
        raise RuntimeError(f"{source} is not done")
    with Path("calls.txt").open("a") as calls:
        calls.write(f"{run} {time.time()} {os.getpid()}\\n")
    print("said by", run)
    code = eval(option(argv, "--do") or "0")
    if not code:
        (run / "result.json").write_text(json.dumps({"digest": run.as_posix()}))
    return code
"""


@pytest.fixture
def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the stages `pretrain` and `transfer`; it is the current folder."""
    for stage in ("pretrain", "transfer"):
        package = tmp_path / stage
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(textwrap.dedent(STAGE))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cell() -> Callable[..., PlannedCell]:
    """Makes cells of the fake stages: cell("pretrain/a", do="time.sleep(1)")."""

    def make(key: str, *needs: str, do: str = "0", images: int | None = 100) -> PlannedCell:
        stage = key.split("/")[0]
        command: tuple[str, ...] = ("-m", stage, f"configs/{key}.py", "--run", f"runs/{key}", "--do", do)
        command += tuple(word for need in needs for word in ("--backbone", f"runs/{need}"))
        return PlannedCell(key, stage, key, "row", 0, needs, command, digest=f"runs/{key}", images=images)

    return make
