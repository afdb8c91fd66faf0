"""How every lingjax command starts and fails: one line on stderr and exit 2 for bad input, a traceback for a bug."""

import errno
import os
import re
import sys
from collections.abc import Callable, Sequence

from absl import app, flags

from lingjax.errors import InputError, printable

_TRACEBACK = flags.DEFINE_bool("traceback", False, "Show the traceback behind a one-line error.")

_MISSING = re.compile(r"Flag --(\w+) must have a value other than None")


def _fail(message: object) -> None:
    sys.stderr.write("error: " + printable(" ".join(str(message).split())) + "\n")
    sys.exit(2)


def _describe_os_error(error: OSError) -> str:
    """Says what the system refused and where; a bucket's errors have only their own text."""
    place = error.filename if error.filename is not None else error.filename2
    if isinstance(error, BrokenPipeError) and place is None:
        place = "stdout"
    if place is None or not error.strerror:
        return error.strerror or str(error) or type(error).__name__
    return f"{os.fsdecode(place) if isinstance(place, (bytes, os.PathLike)) else place}: {error.strerror}"


def _check_stdout() -> None:
    # Python has no sys.stdout where the shell closed it; better refused before the work than after it.
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF), "stdout")


def _flush_stdout() -> None:
    """Writes out what was printed, so that a full disk or a closed pipe is met here and not while Python ends."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _discard_stdout()
        raise OSError(error.errno, error.strerror, "stdout") from error


def _discard_stdout() -> None:
    """Sends what is still unwritten nowhere: Python would try it once more at its end, and complain."""
    if sys.stdout is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _parse_flags(
    argv: Sequence[str], complete: Callable[[list[str]], list[str]], more_help: Callable[[], str]
) -> list[str]:
    if any(argument.lstrip("-") in ("help", "h", "helpshort") for argument in argv[1:] if argument.startswith("-")):
        app.usage(shorthelp=True, writeto_stdout=True)
        sys.stdout.write(more_help())
        sys.exit(0)  # absl itself would exit with 1
    try:
        return flags.FLAGS([argv[0], *complete(list(argv[1:]))])
    except (flags.Error, InputError) as error:
        missing = _MISSING.search(str(error))
        _fail(f"--{missing[1]} is missing: set --{missing[1]}=VALUE; --help says what it is" if missing else error)


def run(
    main: Callable[[list[str]], None],
    *,
    positional: bool = False,
    complete: Callable[[list[str]], list[str]] = lambda argv: argv,
    more_help: Callable[[], str] = str,
) -> None:
    """Runs `main(arguments)` as an absl program.

    Bad input (`InputError`, an unknown flag, a missing required flag) and what the system refuses (`OSError`: a full
    disk, no permission, a file where a folder should be, a closed pipe) give one line on stderr and exit code 2; Ctrl-C
    gives exit code 130; anything else is a bug and keeps its traceback.

    Args:
      main: receives the positional arguments, without the program's name.
      positional: whether the command takes positional arguments at all; otherwise one is an error.
      complete: checks and completes the arguments before they are parsed, or raises `InputError`.
      more_help: returns what `--help` says below the flags.
    """

    def guarded(argv: list[str]) -> None:
        arguments = argv[1:]
        try:
            if arguments and not positional:
                raise InputError(
                    f"this command takes no positional argument, got '{arguments[0]}'; flags start with --"
                )
            _check_stdout()
            main(arguments)
            _flush_stdout()
        except (InputError, OSError) as error:
            if _TRACEBACK.value:
                raise
            if isinstance(error, BrokenPipeError):
                _discard_stdout()
            _fail(_describe_os_error(error) if isinstance(error, OSError) else error)
        except KeyboardInterrupt:
            sys.stderr.write("interrupted\n")
            sys.exit(130)

    app.run(guarded, flags_parser=lambda argv: _parse_flags(argv, complete, more_help))
