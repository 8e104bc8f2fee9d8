"""`python -m wsol run CONFIG --backbone RUN`: localise with a classifier. Torch is imported only to run."""

import sys
from collections.abc import Callable, Sequence


def _run(argv: Sequence[str]) -> int:
    """Run one localization cell: score maps, boxes, accuracies."""
    from core.stage import main as stage_main
    from wsol.run import execute
    from wsol.stage import Localize

    return stage_main("wsol", Localize, execute, argv, prog="python -m wsol run")


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"run": _run}


def main(argv: Sequence[str] | None = None) -> int:
    """Dispatch a subcommand; returns its exit code (2: unknown subcommand)."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given and given[0] in COMMANDS:
        return COMMANDS[given[0]](given[1:])
    asked = bool(given) and given[0] in ("-h", "--help")
    problem = "" if asked else f"error: expected a command, got {given[0] if given else 'none'}\n"
    commands = "\n".join(f"  {name:10} {(run.__doc__ or '').strip()}" for name, run in COMMANDS.items())
    out = sys.stdout if asked else sys.stderr
    out.write(f"{problem}usage: python -m wsol COMMAND ...\ncommands:\n{commands}\n")
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main())
