"""What a simulation needs to know of a device and of one thread block."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Machine:
    """What CTAs share. Rates are those that can be achieved, of the whole device but for the port's."""

    sms: int
    l2_bytes_per_s: float
    port_bytes_per_s: float  # from L2 to one SM
    dram_bytes_per_s: float
    buffer_bytes: float  # of writes that wait in L2
    overlap: float  # share of the lesser of two resources that does not overlap with the greater

    def slowing(self, sms: int, l2_bytes_per_s: float, dram_share: float) -> float:
        """How many times longer a main loop takes than its issue would.

        `sms` of the SMs ask for `l2_bytes_per_s`, and for `dram_share` of what DRAM has. With both below 1 of what
        there is, only what does not overlap is added, as in the closed form.

        >>> Machine(3, 70.0, 20.0, 50.0, 0.0, 0.5).slowing(2, 80.0, 1.0)  # L2: 80 of 40; 2 + 0.5·1, + 0.5·1 of issue
        3.0
        """
        l2_share = l2_bytes_per_s / min(self.l2_bytes_per_s, self.port_bytes_per_s * sms)
        memory = max(l2_share, dram_share) + self.overlap * min(l2_share, dram_share)
        return max(1.0, memory) + self.overlap * min(1.0, memory)


@dataclass(frozen=True, slots=True)
class Block:
    """One CTA: how many fit an SM, how long its phases take when nothing slows them, and what it writes.

    `alone_s` is the main loop of a lone CTA (latency shows), `busy_s` what it needs of its SM's issue.
    """

    resident: int
    prologue_s: float
    alone_s: float
    busy_s: float
    epilogue_s: float
    written_bytes: float

    def loop_rates(self, loops: int, evenly: bool) -> list[float]:
        """Main loops per second of each of `loops` CTAs on one SM, the oldest first; none is faster than alone.

        Issue is shared evenly, or goes to the oldest as far as it can use it, then to the next.

        >>> one = Block(4, 1.0, alone_s=8.0, busy_s=4.0, epilogue_s=1.0, written_bytes=0.0)
        >>> one.loop_rates(3, evenly=False), one.loop_rates(4, evenly=True)
        ([0.125, 0.125, 0.0], [0.0625, 0.0625, 0.0625, 0.0625])
        """
        if evenly:
            return [1 / max(loops * self.busy_s, self.alone_s)] * loops
        full, rest = divmod(self.alone_s / self.busy_s, 1)  # CTAs that run as fast as alone; what is left for the next
        rates = [1 / self.alone_s] * min(loops, int(full))
        if loops > len(rates):
            rates.append(rest / self.alone_s)
        return rates + [0.0] * (loops - len(rates))
