"""A bench in a process of its own: a kernel that hangs or breaks the device is ended with its process.

The parent keeps the journal and decides; the worker only ever answers. It ignores Ctrl-C, which is the parent's to
handle, and ends when the parent does, even by `kill -9`: the pipe between them closes, and on Linux the kernel sends
SIGKILL as well.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context, parent_process
from multiprocessing.resource_tracker import ensure_running

from perfmodel.measure.backend import Backend, DeviceFault, Hang
from perfmodel.measure.bench import Bench
from perfmodel.measure.canary import CANARY
from perfmodel.measure.sampling import TIMES_EXPECTED
from perfmodel.measure.settings import Settings
from perfmodel.profiles.kernel import Kernel

START_S = 120.0  # for the worker to import its libraries and find its device
BUILD_S = 900.0  # for a compiler
OF_ONE_KERNEL = ("pilot", "prepare", "visit")
PR_SET_PDEATHSIG = 1


class WorkerDied(DeviceFault):
    """The worker process ended by itself. The argument says how."""


class WorkerBench:
    """The methods of `Bench`, carried out in a worker process. `make` must be picklable.

    Raises `Hang` where the worker does not answer in time (it is then killed), `WorkerDied` where it is gone; both
    need a `restart`. Faults of the device cross over as they are.
    """

    def __init__(self, make: Callable[[], Backend], settings: Settings):
        self._make, self._settings = make, settings
        self._start()

    def _start(self) -> None:
        context = get_context("spawn")  # a forked child would share the parent's driver state
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._make, self._settings), daemon=True)
        try:
            with _held_back():
                self._process.start()
        except OSError as error:
            raise WorkerDied(f"the worker process cannot be started: {error.strerror or error}") from None
        theirs.close()
        self._built: set[Kernel] = set()
        self._mix: tuple[Kernel, ...] = ()
        try:
            self._answer(START_S)
        except BaseException:  # it would not end by itself, with its signals held back
            self.kill()
            raise

    def call(self, name: str, *arguments, limit_s: float | None = None):
        """What the worker's bench answers to one call."""
        limit_s = max(self._settings.watchdog_s, limit_s or 0.0)
        try:
            self._pipe.send((name, arguments))
        except OSError:
            raise WorkerDied(self._epitaph()) from None
        return self._answer(limit_s, name)

    def _answer(self, limit_s: float, name: str = ""):
        try:
            if not self._pipe.poll(limit_s):
                self.kill()
                raise Hang(f"no answer within {limit_s:g} s")
            kind, value = self._pipe.recv()
        except (EOFError, OSError):
            raise WorkerDied(self._epitaph()) from None
        if kind == "fault":
            raise value
        if kind == "bug" and name in OF_ONE_KERNEL:  # the others can still be measured
            raise WorkerDied(f"a bug in the worker: {value.strip().splitlines()[-1]}")
        if kind == "bug":
            raise RuntimeError(f"in the worker:\n{value}")
        return value

    def _epitaph(self) -> str:
        self._process.join(5.0)
        return f"the worker process ended with exit code {self._process.exitcode}"

    def kill(self) -> None:
        """End the worker at once."""
        self._process.kill()
        self._process.join(5.0)

    def restart(self) -> None:
        """A new worker in the place of the old one."""
        self.kill()
        self._pipe.close()
        self._start()

    def close(self) -> None:
        """Let the worker give its device back and end."""
        try:
            with suppress(DeviceFault):
                self.call("close")
        finally:
            self.kill()
            self._pipe.close()

    def prepare(self, kernel, instrument, seed):
        """See `Bench.prepare`."""
        return self._build(kernel) or self.call("prepare", kernel, instrument, seed)

    def pilot(self, kernel, instrument, seed):
        """See `Bench.pilot`."""
        failure = self._build(kernel)
        return {"reason": failure["reason"]} if failure else self.call("pilot", kernel, instrument, seed)

    def settle(self, kernels, first, limit_s):
        """See `Bench.settle`."""
        self._build(*kernels)
        if (mix := tuple(kernels)) != self._mix:  # thousands of kernels take longer to send than a step lasts
            self.call("keep_mix", mix)
            self._mix = mix
        return self.call("settle", None, first, limit_s, limit_s=TIMES_EXPECTED * limit_s)

    def visit(self, visit):
        """See `Bench.visit`."""
        self._build(visit.kernel)
        expected_s = self._settings.condition_s + (self._settings.samples + 1) * visit.sample_s
        return self.call("visit", visit, limit_s=TIMES_EXPECTED * expected_s)

    def canary(self):
        """See `Bench.canary`."""
        self._build(CANARY)
        return self.call("canary")

    def _build(self, *kernels: Kernel) -> dict | None:
        """Build what this worker has not built yet, before a call that has less time than a compiler takes."""
        for kernel in kernels:
            if kernel not in self._built:
                if failure := self.call("build", kernel, limit_s=BUILD_S):
                    return failure
                self._built.add(kernel)
        return None

    def __getattr__(self, name: str):
        if name.startswith("_") or not callable(getattr(Bench, name, None)):
            raise AttributeError(name)
        return lambda *arguments: self.call(name, *arguments)


def _serve(pipe: connection.Connection, make: Callable[[], Backend], settings: Settings) -> None:
    """The worker's main loop: one call in, one answer out, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    bench = None
    with suppress(EOFError, OSError):
        bench = _reply(pipe, lambda: Bench(make, settings), silent=True)
        while bench is not None:
            name, arguments = pipe.recv()
            _reply(pipe, lambda name=name, arguments=arguments: getattr(bench, name)(*arguments))


def _reply(pipe: connection.Connection, call: Callable, silent: bool = False):
    try:
        value = call()
    except DeviceFault as fault:
        pipe.send(("fault", fault))
    except Exception:
        pipe.send(("bug", traceback.format_exc()))
    else:
        pipe.send(("value", None if silent else value))
        return value
    return None


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = parent_process()

    def watch():
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _held_back():
    """Signals wait, and for good in a process that is started meanwhile: the parent ends it, nobody else."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    ensure_running()  # it unblocks some of them, when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
