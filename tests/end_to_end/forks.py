"""Commands without the seconds that loading torch takes: forks of a process that has already loaded it.

A fork runs the program itself, in a session of its own, from its command line to its exit code.
`python -m tests.end_to_end.forks` serves requests, one JSON object per line.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]


class ForkServer:
    """The client's side of the fork server."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.end_to_end.forks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LANG": "C.UTF-8", "LC_ALL": ""},
            text=True,
        )

    def start(self, program: str, arguments: list[str], env: dict[str, str], out: Path, err: Path, cwd: Path) -> int:
        """Start a program, `cli` or `worker`, and return its pid."""
        request = {"program": program, "arguments": arguments, "env": env, "out": str(out), "err": str(err)}
        return int(self._ask({"start": {**request, "cwd": str(cwd)}}))

    def poll(self, pid: int) -> int | None:
        """Return the exit code, or None while the process runs, as `subprocess.Popen.poll` does."""
        answer = self._ask({"poll": pid})
        return None if answer is None else int(answer)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


def serve() -> None:
    """Serve requests until the client closes the connection."""
    import numpy  # noqa: F401
    import torch  # noqa: F401

    import core.worker.carry_out  # noqa: F401
    import tui_app.cli
    import tui_app.console.commands
    import tui_app.console.training_command  # noqa: F401

    codes: dict[int, int] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "start" in request:
            sys.stdout.flush()
            pid = os.fork()
            if pid == 0:
                _carry_out(**request["start"])
            answer: int | None = pid
        else:
            pid = request["poll"]
            if pid not in codes:
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended == pid:
                    codes[pid] = os.waitstatus_to_exitcode(status)
            answer = codes.get(pid)
        print(json.dumps(answer), flush=True)


def _carry_out(program: str, arguments: list[str], env: dict[str, str], out: str, err: str, cwd: str) -> None:
    """Run the program in the fork; never return."""
    code = 1
    try:
        os.setsid()
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        writing = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        for descriptor, path, flags in ((0, os.devnull, os.O_RDONLY), (1, out, writing), (2, err, writing)):
            opened = os.open(path, flags, 0o644)
            os.dup2(opened, descriptor)
            os.close(opened)
        sys.argv = [program, *arguments]
        if program == "cli":
            import tui_app.cli

            tui_app.cli.main()
        else:
            import core.worker.__main__

            core.worker.__main__.main()
            code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
