"""The thread blocks of one kernel on the SMs, in continuous time.

Each CTA runs a prologue (the pipeline fills), its main loop and an epilogue; then the next one takes its slot. Between
two events (a phase ends, the buffer of writes fills or empties) all rates are constant:

issue     while CTAs wait, the oldest main loop of an SM goes first and the next takes what it leaves; then all share
          evenly. None is faster than alone. Chance does the former on a GPU: CTAs of an SM fall out of step, and cover
          each other's prologues and epilogues
memory    all main loops slow down alike when L2 or DRAM are asked for more than they have
writes    go to L2, which drains them with what the reads leave of DRAM; when its buffer is full, epilogues wait

CTAs that begin together on SMs in the same state stay in step, so one cohort stands for all of them: SMs form few
classes (two, once fewer CTAs wait than slots get free), and a wave costs a handful of events on any number of SMs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf

from perfmodel.cost.events.machine import Block, Machine
from perfmodel.cost.events.panels import Panels
from perfmodel.cost.events.queue import Queue

PROLOGUE, LOOP, EPILOGUE = range(3)
DONE = 1e-9  # of a phase: less is rounding


@dataclass(slots=True)
class Cohort:
    """CTAs in step, one on each SM of a class: their phase, what is left of it, and the bytes that one CTA reads."""

    first: int  # of their numbers in the order of dispatch
    l2_bytes: float
    dram_bytes: float
    phase: int = PROLOGUE
    left: float = 1.0
    rate: float = 0.0  # phases per second


@dataclass(slots=True)
class SmClass:
    """SMs in the same state, each with these cohorts in its slots."""

    sms: int
    slots: list[Cohort | None]

    def cohorts(self, phase: int) -> list[Cohort]:
        """Those in a phase."""
        return [cohort for cohort in self.slots if cohort and cohort.phase == phase]


@dataclass(slots=True)
class Simulation:
    """One kernel, from its first CTA to its last write; `simulate` runs it."""

    machine: Machine
    block: Block
    panels: Panels
    queue: Queue
    classes: list[SmClass] = field(default_factory=list)
    seconds: float = 0.0
    filled_bytes: float = 0.0  # that came into L2, read from DRAM or written by CTAs
    skipped_bytes: float = 0.0  # the same of CTAs that were left out
    dirty_bytes: float = 0.0  # written to L2, not yet to DRAM
    events: int = 0

    def run(self) -> None:
        """Simulate to the end."""
        one = SmClass(self.machine.sms, [None] * self.block.resident)
        self.classes.append(one)
        for slot in range(self.block.resident):  # an SM takes its second CTA when every SM has one
            self._refill(one, slot)
        while any(any(one.slots) for one in self.classes):
            self._step()
            self._settle()
        self.seconds += self.dirty_bytes / self.machine.dram_bytes_per_s

    def _refill(self, one: SmClass, slot: int) -> None:
        """Give the next CTAs to one slot of each SM of a class; where they do not suffice, the class parts in two."""
        one.slots[slot] = None
        seconds, filled = self.queue.skip(self.seconds, self.filled_bytes)
        # A pace set while the buffer of writes was filling cannot last: DRAM must keep up.
        self.seconds += max(seconds, filled / self.machine.dram_bytes_per_s)
        self.skipped_bytes += filled
        count = min(one.sms, self.queue.waiting)
        if not count:
            return
        if count < one.sms:
            self.classes.append(SmClass(one.sms - count, [cohort and replace(cohort) for cohort in one.slots]))
            one.sms = count
        first = self.queue.take(count)
        read, missed = self.panels.read(first, first + count, self.filled_bytes)
        one.slots[slot] = Cohort(first, read / count, missed / count)

    def _step(self) -> None:
        """Let time pass until the next event."""
        l2, reads, writes = self._demand()
        dram = self.machine.dram_bytes_per_s
        sms = sum(one.sms for one in self.classes if any(one.slots))
        # What the rates are while the buffer of writes is neither empty nor full: it drains with all that reads leave.
        share = max(1.0, reads / dram)
        slowing = self.machine.slowing(sms, l2, share)
        growth, throttle = writes + reads / slowing - dram, 1.0
        full = self.dirty_bytes >= self.machine.buffer_bytes
        if growth >= 0 and full:
            slowing = self.machine.slowing(sms, l2, max(share, (reads + writes) / dram))
            growth, throttle = 0.0, min(1.0, (dram - reads / slowing) / writes) if writes else 1.0
        elif growth <= 0 and not self.dirty_bytes:
            slowing = self.machine.slowing(sms, l2, min(share, (reads + writes) / dram))
            growth = 0.0
        self._pass(slowing, throttle, growth, reads / slowing + writes * throttle)

    def _demand(self) -> tuple[float, float, float]:
        """Bytes per second that are asked of L2 and of DRAM, and that are written, at the rates that issue allows."""
        block = self.block
        l2 = reads = writes = 0.0
        for one in self.classes:
            for cohort in one.cohorts(PROLOGUE):
                cohort.rate = 1 / block.prologue_s
            loops = sorted(one.cohorts(LOOP), key=lambda cohort: cohort.first)
            rates = block.loop_rates(len(loops), evenly=not self.queue.waiting)
            for cohort, cohort.rate in zip(loops, rates, strict=True):
                l2 += one.sms * cohort.rate * cohort.l2_bytes
                reads += one.sms * cohort.rate * cohort.dram_bytes
            for cohort in one.cohorts(EPILOGUE):
                cohort.rate = 1 / block.epilogue_s
                writes += one.sms * cohort.rate * block.written_bytes
        return l2, reads, writes

    def _pass(self, slowing: float, throttle: float, growth: float, filling: float) -> None:
        """Advance all cohorts to the next event, main loops slowed and epilogues throttled."""
        until = inf  # the buffer is full or empty
        if growth:
            until = ((self.machine.buffer_bytes if growth > 0 else 0.0) - self.dirty_bytes) / growth
        live = [cohort for one in self.classes for cohort in one.slots if cohort]
        for cohort in live:
            if cohort.phase != PROLOGUE:
                cohort.rate = cohort.rate / slowing if cohort.phase == LOOP else cohort.rate * throttle
        elapsed = min(until, *(cohort.left / cohort.rate for cohort in live if cohort.rate))
        for cohort in live:
            cohort.left -= cohort.rate * elapsed
        if elapsed < until:
            self.dirty_bytes += growth * elapsed
        else:
            self.dirty_bytes = self.machine.buffer_bytes if growth > 0 else 0.0
        self.filled_bytes += filling * elapsed
        self.seconds += elapsed
        self.events += 1

    def _settle(self) -> None:
        """Move what has ended to its next phase, and the next CTAs into free slots."""
        for one in tuple(self.classes):
            for slot, cohort in enumerate(one.slots):
                if cohort and cohort.left <= DONE:
                    if cohort.phase == EPILOGUE:
                        self._refill(one, slot)
                    else:
                        cohort.phase += 1
                        cohort.left = 1.0


def simulate(machine: Machine, block: Block, panels: Panels) -> Simulation:
    """The finished simulation of a kernel whose CTAs read `panels`: its `seconds` and bytes, without launch."""
    found = Simulation(machine, block, panels, Queue.of(panels.grid.ctas, machine.sms * block.resident))
    found.run()
    return found
