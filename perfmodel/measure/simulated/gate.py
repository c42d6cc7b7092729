"""What stands between a call and the simulated card: the faults that strike it, and those that stay."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable

from perfmodel.measure.backend import DeviceFault, DeviceLost, Hang, KernelFault
from perfmodel.measure.simulated.faults import KERNEL_FAULTS, Fault, Plan

NAP_S = 3600.0


class Gate:
    """Raises what a call meets. After a kernel fault, a hang or the loss of the device only a new object helps."""

    __slots__ = ("_broken", "_hung", "_pending", "plan")

    def __init__(self, faults: Iterable[Fault]):
        self.plan = Plan(faults)
        self._pending: Fault | None = None  # struck a launch, shows when the host waits
        self._hung: Fault | None = None
        self._broken: DeviceFault | None = None

    def called(self) -> None:
        """Any call to the device."""
        if self._broken is not None:
            raise type(self._broken)(*self._broken.args)
        if self.plan and self.plan.strikes("device lost"):
            self._break(DeviceLost("the device has fallen off the bus"))

    def launched(self, text: str, live: bool) -> None:
        """A launch of this kernel; `live`: its operands are still allocated."""
        if not live:
            self._pending = Fault("illegal address")
        if not self.plan:
            return
        if self.plan.strikes("device lost at launch", text):
            self._break(DeviceLost("the device has fallen off the bus"))
        if self.plan.strikes("interrupt", text):
            os.kill(os.getpid(), signal.SIGINT)
        for kind in (*KERNEL_FAULTS, "hang"):
            struck = self.plan.strikes(kind, text)
            self._pending = self._pending or struck

    def waited(self, limit_s: float) -> None:
        """The host waits for the device."""
        fault, self._pending = self._pending, None
        if fault is not None and fault.kind in KERNEL_FAULTS:
            self._break(KernelFault(fault.kind))
        self._hung = self._hung or fault
        while self._hung is not None and self._hung.real:
            time.sleep(NAP_S)
        if self._hung is not None:
            raise Hang(f"nothing came back for {limit_s:g} s")

    def _break(self, error: DeviceFault) -> None:
        self._broken = error
        raise type(error)(*error.args)
