"""The worker process: `python -m core.worker RUN_DIR`, `--series RUN_DIR...`, or a dashboard's with `--standby`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from core.messages import Problem
from core.runs.directory import Run
from core.worker import at_end
from core.worker.carry_out import carry_out
from core.worker.detach import StopSignals, redirect_output
from core.worker.launch import LEASHED_SERIES, SERIES, STANDBY, restart_for
from core.worker.series import carry_out_series


def main() -> None:
    """Train the run in the given directory, a series of runs, or the one that a dashboard hands over."""
    signals = StopSignals()
    if sys.argv[1:] == [STANDBY]:
        from core.networks import own_modules
        from core.worker.standby import stand_by

        # Until it has a run, nothing is lost if it ends at once. It ends with its dashboard, so it ignores SIGINT.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            handed = stand_by()
        except (BrokenPipeError, KeyboardInterrupt):
            return
        if handed is None:
            return
        run_dir, has_run_networks = handed
        signal.signal(signal.SIGINT, signal.default_int_handler)
        run = Run(run_dir)
        redirect_output(run.log_path)
        if has_run_networks or own_modules.were_executed():
            restart_for(run)  # what that did to torch is no part of a run
    elif sys.argv[1] in (SERIES, LEASHED_SERIES):
        signals.install()
        paths = [Path(argument) for argument in sys.argv[2:]]
        leash = paths.pop(0) if sys.argv[1] == LEASHED_SERIES else None
        carry_out_series([Run(path) for path in paths], signals, leash)
        return
    else:
        run = Run(Path(sys.argv[1]))
        redirect_output(run.log_path)
    on_end = os.environ.pop(at_end.VARIABLE, "")
    signals.install()
    try:
        carry_out(run, show=lambda _event: None, should_stop=signals)
    except Problem as problem:
        sys.exit(str(problem))
    if wrong := at_end.run_command(on_end, run):
        print(wrong, file=sys.stderr)


if __name__ == "__main__":
    main()
