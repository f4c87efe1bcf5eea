"""A worker that waits with its libraries loaded, and answers a dashboard until it is handed a run."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import torch

from core.data.split_and_permute import expected_train_size
from core.messages import Message, Problem, reason
from core.networks import tabulate
from core.networks.build import build_network
from core.runs.directory import Run
from core.training import acceleration, devices
from core.training.robustness import robustness_of
from core.training.settle import settle
from core.training.trial import try_out
from core.worker import protocol, threads
from core.worker.process_title import entitle
from core.worker.questions import RunInspector

_LOWEST_PRIORITY = 19
_GRACE_S = 60.0

Say = Callable[[protocol.Answer], None]


def stand_by() -> tuple[Path, bool] | None:
    """Answer the dashboard until it hands over a run; return that run's directory, or None if the dashboard ended.

    With it comes whether networks were run meanwhile: what that did to torch is no part of a run.
    """

    def say(answer: protocol.Answer) -> None:
        os.write(answers, protocol.encode(answer) + b"\n")

    # What a custom network prints while it is described must not be taken for an answer.
    answers = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    entitle("waiting for a run")
    say(protocol.Ready(tuple(devices.available())))
    acceleration.keep_freed_memory()
    has_run_networks = False
    is_over = threading.Event()
    threading.Thread(target=_end_with_parent, args=(is_over,), daemon=True).start()
    requests = _Requests()
    inspector = RunInspector(requests.have_come)
    _tidy_on_sigterm(inspector)
    for line in requests.lines(inspector.insides.prepare):
        request = protocol.decode_request.decode(line)
        if isinstance(request, protocol.Train):
            _close(inspector)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            is_over.set()
            os.close(answers)
            os.dup2(null, 0)
            return Path(request.run_dir), has_run_networks
        if isinstance(request, protocol.GiveWay):
            _give_way()
            continue
        has_run_networks = has_run_networks or not isinstance(
            request, protocol.Describe | protocol.Settle | protocol.Try
        )
        try:
            say(answer_question(request, inspector, say))
        except Problem as problem:
            say(protocol.Refused.because_of(problem, request))
        except (Exception, SystemExit) as error:  # a custom network may fail on some batches only: the worker goes on
            message = Message("{kind}: {reason}", {"kind": type(error).__name__, "reason": reason(error)})
            say(protocol.Refused(request, message, Message("")))
    _close(inspector)
    return None


def _close(inspector: RunInspector) -> None:
    with suppress(Problem):  # a statement that does not end is left to the end of the process, or to its restart
        inspector.program.close()


def _tidy_on_sigterm(inspector: RunInspector) -> None:
    """Have the data of the program removed when the dashboard ends this process; no exception could be relied on."""

    def end(_number: int, _frame: object) -> None:
        inspector.program.remove_written()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)


def _end_with_parent(is_over: threading.Event) -> None:
    """End this process some time after the dashboard, if a custom network keeps it from ending by itself.

    Its last request may be a run, which is yet to be read.
    """
    parent = os.getppid()
    while not is_over.wait(_GRACE_S):
        if os.getppid() != parent:
            if not is_over.wait(_GRACE_S):
                os._exit(0)
            return


class _Requests:
    """The lines of the standard input."""

    def __init__(self) -> None:
        self._read: list[bytes] = []

    def have_come(self) -> bool:
        """Tell if there is another line, or the end."""
        return bool(self._read) or bool(select.select([0], [], [], 0)[0])

    def lines(self, idle: Callable[[Callable[[], bool]], None]) -> Iterator[bytes]:
        """Yield the lines; `idle` is called before each wait, with what tells that one has come."""
        begun = b""
        while True:
            if not self.have_come():
                with suppress(Exception, SystemExit):  # of a custom network
                    idle(self.have_come)
            if not (read := os.read(0, 1 << 16)):
                return
            *self._read, begun = (begun + read).split(b"\n")
            while self._read:
                yield self._read.pop(0)


def _threads_for(request: protocol.InsideQuestion | protocol.ProgramQuestion) -> int:
    """Return the threads that an answer gets: for one image, or a few small batches, a second would be waited for."""
    takes_many = isinstance(request, protocol.FindNearest | protocol.Occlude | protocol.StepProgram)
    has_given_way = os.getpriority(os.PRIO_PROCESS, 0) == _LOWEST_PRIORITY
    return devices.default_threads() if takes_many and not has_given_way else 1


def _give_way() -> None:
    """Leave the processor to a run in progress. What is taken back from a process so is never given again."""
    with suppress(OSError, AttributeError):  # where there is such a thing: only while nothing else wants the processor
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with suppress(OSError):
        os.nice(_LOWEST_PRIORITY - os.getpriority(os.PRIO_PROCESS, 0))


def answer_question(request: protocol.Question, inspector: RunInspector, say: Say) -> protocol.Answer:
    """Answer a question; `say` takes what is to be told before the answer. Raises `Problem`."""
    match request:
        case protocol.Describe():
            torch.manual_seed(0)
            network = build_network(request.architecture)
            return protocol.Described(request, tabulate.layer_table(network, request.architecture.model))
        case protocol.Try(config=config):
            try_out(config, devices.resolve(config.device), expected_train_size(config))
            return protocol.Tried(request)
        case protocol.Browse():
            return inspector.browse(request)
        case protocol.EvaluateAt():
            return inspector.evaluate_at(request)
        case protocol.Recognise():
            return inspector.recognise(request)
        case protocol.Measure():
            torch.set_num_threads(threads.share_of_cores(Run(Path(request.run_dir))))
            return inspector.measure(request)
        case protocol.Settle():
            return _settled(request, _teller(request, say))
        case protocol.MeasureAll(run_dirs=run_dirs, conditions=conditions, device=device):
            tell, runs = _teller(request, say), [Run(Path(run_dir)) for run_dir in run_dirs]
            tested = robustness_of(runs, conditions, device, notify=tell, progress=tell)
            return protocol.MeasuredAll(request, tuple(tested))
        case protocol.StepProgram() | protocol.TryChange():
            torch.set_num_threads(_threads_for(request))
            return inspector.program.answer(
                request, lambda message, share: say(protocol.ProgressNote(request, message, share))
            )
        case _:
            torch.set_num_threads(_threads_for(request))
            return inspector.insides.answer(
                request,
                lambda message, fraction: say(protocol.ProgressNote(request, message, fraction)),  # type: ignore[arg-type]
            )


class _Tell(Protocol):
    def __call__(self, message: Message, fraction: float | None = None) -> None: ...


def _teller(request: protocol.Settle | protocol.MeasureAll, say: Say) -> _Tell:
    """Return what tells who asked how far the answer is."""
    return lambda message, fraction=None: say(protocol.ProgressNote(request, message, fraction))


def _settled(request: protocol.Settle, tell: _Tell) -> protocol.Settled:
    """Settle the settings of a comparison, reporting the progress of a download. Raises `Problem`."""
    # No stop is needed: a dashboard that gives up waiting ends this process.
    config, found = settle(
        request.config, request.configurations, request.devices, notify=tell, progress=tell, should_stop=lambda: False
    )
    return protocol.Settled(request, config, found)
