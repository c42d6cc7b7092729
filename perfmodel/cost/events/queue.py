"""The CTAs that wait for a slot. Of a very large grid, only the beginning and the end are handed out."""

from __future__ import annotations

from dataclasses import dataclass

MOST_WAVES, MOST_CTAS, LEAST_WAVES = 24, 8192, 2  # of a window


@dataclass(slots=True)
class Queue:
    """CTAs 0 to before `ctas`, in order.

    The first window settles and the second is timed; whole waves after it are left out, and taken to pass as fast as
    the second window did, so that about one window remains for the end. Grids of three windows or less are handed out
    whole.
    """

    ctas: int
    wave: int
    window: int
    next: int = 0
    skipped: int = 0
    _began: tuple[int, float, float] | None = None  # where the second window began: CTA, seconds, bytes

    @classmethod
    def of(cls, ctas: int, wave: int) -> Queue:
        """The queue in front of `wave` slots: a window is 24 waves or 8192 CTAs, whichever is less, but two waves.

        >>> Queue.of(100_000, 160).window, Queue.of(100_000, 1000).window, Queue.of(100_000, 5000).window
        (3840, 8000, 10000)
        """
        return cls(ctas, wave, wave * max(LEAST_WAVES, min(MOST_WAVES, MOST_CTAS // wave)))

    @property
    def waiting(self) -> int:
        """CTAs that no slot has taken yet."""
        return self.ctas - self.next

    def take(self, count: int) -> int:
        """The first of the next `count` CTAs, which leave the queue."""
        first, self.next = self.next, self.next + count
        return first

    def skip(self, seconds: float, filled_bytes: float) -> tuple[float, float]:
        """Seconds and bytes of the CTAs that are left out now, if any; called before each `take`."""
        if self.skipped or self.ctas <= 3 * self.window or self.next < self.window:
            return 0.0, 0.0
        if self._began is None:
            self._began = self.next, seconds, filled_bytes
        first, first_s, first_bytes = self._began
        if self.next < 2 * self.window:
            return 0.0, 0.0
        self.skipped = max(0, self.waiting - self.window) // self.wave * self.wave
        self.next += self.skipped
        share = self.skipped / (self.next - self.skipped - first)
        return (seconds - first_s) * share, (filled_bytes - first_bytes) * share
