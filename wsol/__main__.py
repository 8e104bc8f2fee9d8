"""`python -m wsol COMMAND`: score maps and boxes. Everything heavy is imported by the command that needs it.

`evaluate`, `import-metadata` and `validate-metadata` run without torch.
"""

import sys
from collections.abc import Callable, Sequence

from core.interrupt import while_importing


def _run(argv: Sequence[str]) -> int:
    """Run one localization cell: score maps, boxes, accuracies."""
    with while_importing():
        from core.command import Command
        from eval.errors import EvalError
        from wsol.run import execute
        from wsol.stage import Localize

    return Command("wsol", Localize, execute, prog="python -m wsol run", errors=EvalError).main(argv)


def _evaluate(argv: Sequence[str]) -> int:
    """Say how well score maps of any model localize; no torch."""
    with while_importing():
        from wsol.evaluate.command import main as evaluate

    return evaluate(argv)


def _extract(argv: Sequence[str]) -> int:
    """Write a backbone's score maps in shards, for `evaluate`."""
    with while_importing():
        from wsol.extract import main as extract

    return extract(argv)


def _figure(argv: Sequence[str]) -> int:
    """Draw the CAMs of two classes on mixed images, two rows for each model."""
    with while_importing():
        from wsol.figure import main as figure

    return figure(argv)


def _import_metadata(argv: Sequence[str]) -> int:
    """Turn ILSVRC, CUB, VOC or COCO annotations into metadata for `evaluate`."""
    with while_importing():
        from wsol.metadata.command import import_main

    return import_main(argv)


def _validate_metadata(argv: Sequence[str]) -> int:
    """Name every bad line of a metadata folder."""
    with while_importing():
        from wsol.metadata.command import validate_main

    return validate_main(argv)


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "run": _run,
    "evaluate": _evaluate,
    "extract": _extract,
    "figure": _figure,
    "import-metadata": _import_metadata,
    "validate-metadata": _validate_metadata,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Dispatch a subcommand; returns its exit code (2: unknown subcommand)."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given and given[0] in COMMANDS:
        return COMMANDS[given[0]](given[1:])
    asked = bool(given) and given[0] in ("-h", "--help")
    problem = "" if asked else f"error: expected a command, got {given[0] if given else 'none'}\n"
    commands = "\n".join(f"  {name:18} {(run.__doc__ or '').strip()}" for name, run in COMMANDS.items())
    out = sys.stdout if asked else sys.stderr
    out.write(f"{problem}usage: python -m wsol COMMAND ...\ncommands:\n{commands}\n")
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main())
