"""Steps of a build: what runs, for how long, with the output in a log file.

Works with the standard library alone, because it also runs before anything is installed; with `rich` and a
terminal it shows a spinner with the time that the step has taken so far.
"""

import os
import subprocess
import sys
import time

from tools.paths import BUILD

LOGS = BUILD / "log"
TAIL_LINES = 25


class ToolError(Exception):
    """What went wrong and what would be right, in one line; `detail` holds log lines to show below it."""

    def __init__(self, text, detail=""):
        super().__init__(text)
        self.detail = detail


def _live():
    """A rich console if there is one and it is a terminal, else None."""
    try:
        from rich.console import Console
    except ImportError:
        return None
    console = Console(stderr=True)
    return console if console.is_terminal else None


def _tail(path):
    lines = path.read_text(errors="replace").splitlines()[-TAIL_LINES:]
    return "\n".join("  | " + line[:200] for line in lines)


def say(text):
    """One line of progress on stderr."""
    print(text, file=sys.stderr, flush=True)


def _execute(command, log, cwd, env):
    with log.open("a") as out:
        out.write(f"\n$ {' '.join(map(str, command))}\n")
        out.flush()
        try:
            return subprocess.run(
                [str(word) for word in command],
                cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            ).returncode
        except FileNotFoundError:
            raise ToolError(f"{command[0]}: command not found, needed to go on") from None


def run(name, *commands, cwd=None, env=None, hint=""):
    """Run `commands` (argument lists) one after the other as the step `name`.

    Their output goes to build/log/<name>.log. `env` is added to the environment. Raises ToolError with the log's
    last lines and `hint` if one of them fails.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / ("".join(c if c.isalnum() or c in "-." else "_" for c in name) + ".log")
    log.write_text("")
    environment = {**os.environ, **(env or {})}
    begin = time.monotonic()
    console = _live()
    if console is None:
        codes = _run_all(commands, log, cwd, environment)
    else:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            progress.add_task(name, total=None)
            codes = _run_all(commands, log, cwd, environment)
    seconds = time.monotonic() - begin
    if codes:
        say(f"  failed  {name}  {seconds:.1f} s")
        text = f"{name}: ended with code {codes}; the whole log: {log.relative_to(BUILD.parent)}"
        raise ToolError(f"{text}. {hint}" if hint else text, _tail(log))
    say(f"  {name}  {seconds:.1f} s")


def _run_all(commands, log, cwd, env):
    for command in commands:
        code = _execute(command, log, cwd, env)
        if code:
            return code
    return 0


def main(function):
    """Run `function` as a program: a ToolError becomes its one line and exit code 1."""
    try:
        sys.exit(function() or 0)
    except ToolError as error:
        if error.detail:
            say(error.detail)
        say(f"error: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
