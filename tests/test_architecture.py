"""The house's rules, held by a test: who imports whom, what runs without torch, how long a file may be."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {"configs", "pretrain", "transfer", "wsol", "launch", "eval", "core"}
MAY_IMPORT = {
    "core": {"core"},
    "eval": {"eval"},
    "pretrain": {"pretrain", "eval", "core"},
    "transfer": {"transfer", "eval", "core"},
    "wsol": {"wsol", "eval", "core"},
    "launch": {"launch", "eval", "core"},
    "configs": {"configs", "pretrain", "transfer", "wsol", "eval", "core"},
    "benchmarks": ROOMS | {"benchmarks"},
}
READERS = "core.data"  # what `eval` may import of core: ground truth is read by those who read it for training
HEAVY = {"torch", "torchvision", "timm", "lightning_fabric"}
WITHOUT_TORCH = (
    "eval",
    "launch",
    "core/config.py",
    "core/run.py",
    "core/atomic.py",
    "core/stage.py",
    "core/cell.py",
    "core/command.py",
    "core/processes.py",
    "core/data",
    "wsol/maps",
    "wsol/metadata",
    "wsol/evaluate",
)
TABLES = ROOT / "configs" / "tables"
MOST_LINES, MOST_FUNCTION_LINES = 400, 80

BLOCK_TORCH = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchvision", "timm", "lightning_fabric"}:
            raise ImportError("torch is not to be imported here: " + name)
sys.meta_path.insert(0, Refuse())
"""


def files(*below: str) -> list[Path]:
    found = [
        path for name in below for path in ((ROOT / name).rglob("*.py") if (ROOT / name).is_dir() else [ROOT / name])
    ]
    assert found, f"no Python files in {below}"
    return sorted(found)


def imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """Every import statement with the module that it names, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node, node.module or ""


def test_imports_flow_one_way() -> None:
    wrong = []
    for room, allowed in MAY_IMPORT.items():
        for path in files(room):
            for node, module in imports(ast.parse(path.read_text())):
                top = module.partition(".")[0]
                if room == "eval" and f"{module}.".startswith(f"{READERS}."):
                    continue
                if top in ROOMS | {"tests", "benchmarks"} and top not in allowed:
                    wrong.append(
                        f"{path.relative_to(ROOT)}:{node.lineno} imports {module}; {room} may import {allowed}"
                    )
    assert not wrong, "\n".join(wrong)


def test_eval_is_never_imported_by_its_bare_name() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files(*MAY_IMPORT, "tests")
        for node, module in imports(ast.parse(path.read_text()))
        if isinstance(node, ast.Import) and module.partition(".")[0] == "eval"
    ]
    assert not wrong, f"`import eval` hides the builtin; say `from eval import ...`: {wrong}"


def test_what_must_start_fast_imports_torch_nowhere_at_its_top() -> None:
    wrong = []
    for path in [*files(*WITHOUT_TORCH), *TABLES.glob("*.py")]:
        for statement in ast.parse(path.read_text()).body:
            for node, module in imports(statement) if isinstance(statement, ast.Import | ast.ImportFrom) else ():
                if module.partition(".")[0] in HEAVY:
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} imports {module}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "code",
    [
        "from eval import classification, curves, localization, report, table",
        "from eval.captions import bootstrap, diversity, evaluation, gallery, scores, summary",
        "from eval.captions.scores import score; score({1: 'a dog'}, {1: ['a dog']}, ('bleu', 'cider'), 'regex')",
        "from eval.detection import voc",
        "import launch.__main__",
        "import wsol.__main__, wsol.evaluate.command, wsol.maps.source, wsol.metadata.command",
        "from eval.__main__ import main; sys.exit(main(['table', 'quick', '--runs', RUNS]))",
    ],
)
def test_runs_where_importing_torch_raises(code: str, tmp_path: Path) -> None:
    script = f"{BLOCK_TORCH}\nRUNS = {str(tmp_path)!r}\n{code}"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_and_functions_stay_readable() -> None:
    wrong = []
    for path in files(*MAY_IMPORT):
        text = path.read_text()
        if text.count("\n") > MOST_LINES:
            wrong.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines, at most {MOST_LINES}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= MOST_FUNCTION_LINES:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} is over {MOST_FUNCTION_LINES} lines")
    assert not wrong, "\n".join(wrong)


def test_every_config_says_where_it_comes_from() -> None:
    wrong = []
    for path in files("configs"):
        if path.name.startswith("_"):
            continue
        said = ast.get_docstring(ast.parse(path.read_text())) or ""
        if "Command" not in said and path.parent.name != "references":
            wrong.append(str(path.relative_to(ROOT)))
    assert not wrong, f"a config's docstring gives source, command and expected number: {wrong}"
