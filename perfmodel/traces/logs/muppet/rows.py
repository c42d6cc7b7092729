"""What MuPPET's `log.csv` and its console output share: rows in, stretches out.

Its code trains an epoch, lets the policy change precision and learning rate, and then writes the row. So the row of
epoch e says what epoch e+1 trains in, and a run that its stopping rule ends has no row of its last epoch. Without the
policy (`Run_Muppet: False`) rates change before the epoch, and a row says what its own epoch trained in.
Source: ICIdsl/muppet @ a5cbb13, training.py, policy.py and checkpointing.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from perfmodel.errors import InputError, quote
from perfmodel.traces.logs.epochs import spans
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.muppet.config import Config, config_of
from perfmodel.traces.logs.muppet.end import after_rows
from perfmodel.traces.logs.muppet.facts import facts_of, name_of, scheme_params
from perfmodel.traces.logs.muppet.row import BRANCH, Row
from perfmodel.traces.logs.names import Precisions, passes
from perfmodel.traces.logs.run import Fact, Run, Stretch
from perfmodel.traces.precision import PassPrecision
from perfmodel.traces.values import LARGEST

MOST_ROWS = 50_000  # epochs of one run; the longest published one has 150
MOST_NOTES = 1000
SHIFT = (
    "a row is written after the policy ran, and says what the next epoch trains in: "
    "precision and learning rate of each epoch are those of the row before it"
)


class Rows:
    """The rows of a log by epoch, with what was corrected; of rows of one epoch the later one counts."""

    def __init__(self, log: LogFile, given: Given):
        if given.keys:
            found = "the columns of this format have fixed names."
            raise InputError.at("E1320", f"{log.place}:", found, "Drop --map, or read it with --log-format csv.")
        self.log, self.given = log, given
        self.corrections: list[str] = []
        self.inferred: list[str] = []
        self.config: Config | None = config_of(log, self.corrections)
        self.rows: list[Row] = []
        self._formats = Precisions(given.formats, given.bits or "dfx")
        self._not_finite: dict[str, set[int]] = {}
        self._first_configured: int | None = 0  # the first epoch of the process whose configuration lies there

    def note(self, line: int, text: str) -> None:
        """Something that was corrected, at a line of the log."""
        if len(self.corrections) < MOST_NOTES:
            self.corrections.append(f"{self.log.place}:{line} {text}")

    def format(self, bits: str, data_type: str, place: str) -> str:
        """The format of a row; `InputError` (E1322) at `place` where there is no such format."""
        if bits not in self.given.formats:
            if bits == "-1" and data_type == "Float":
                return "fp32"
            if data_type not in ("Float", "DFixed") or bits == "-1":
                found = f"DataType {quote(data_type)} with BitWidth {quote(bits)} is no format of MuPPET."
                raise InputError.at("E1322", place, found, "It is Float with -1, or DFixed with a number of bits.")
            if data_type == "Float":
                return "fp32"  # whatever the width: the code quantises nothing then
        return self._formats.format(bits, place)

    def finite(self, epoch: int, values: Mapping[str, float]) -> dict[str, float]:
        """The values that are finite numbers; the others are told of."""
        for name, value in values.items():
            if not -LARGEST <= value <= LARGEST:
                epochs = self._not_finite.setdefault(name, set())
                if len(epochs) < MOST_ROWS:
                    epochs.add(epoch)
        return {name: value for name, value in values.items() if -LARGEST <= value <= LARGEST}

    def add(self, row: Row) -> None:
        """One more row; `InputError` (E1328) for too many."""
        gone = []
        while self.rows and self.rows[-1].epoch >= row.epoch:
            gone.append(self.rows.pop().epoch)
        if gone:
            verb = "was" if len(gone) == 1 else "were"
            self.note(row.line, f"restart: {spans(reversed(gone))} {verb} replaced by what follows")
        if len(self.rows) >= MOST_ROWS:
            found = f"more than {MOST_ROWS} epochs."
            raise InputError.at("E1328", f"{self.log.place}:{row.line}:", found, "Split the log.")
        self.rows.append(row)

    def see_policy(self, certain: bool) -> None:
        """Find whether the policy steered all rows: certainly, as configured, or as precision changed in a process."""
        said = self.config.policy if self.config is not None else None
        changed = any(after.format != row.format and not after.begins for row, after in pairwise(self.rows))
        steered = certain or (changed if said is None else said)
        if steered and said is None and not certain:
            self.inferred.append(
                "MuPPET steered the run: its precision changes, though nothing of the policy is in the log"
            )
        for row in self.rows:
            row.policy = steered

    def drop_torn(self, line: int) -> None:
        """Tell that the last line is none: the writer was stopped in it, or is at it."""
        self.note(line, "the last line was not written to its end and is left out")

    def run(self, reader: str, more: Sequence[Stretch] = (), by_rule: bool = True) -> Run:
        """The run that the rows tell, and `more` after them.

        `by_rule` looks whether the stopping rule ended the run with an epoch that has no row. Raises `InputError`
        (E1336) for the configuration.
        """
        config, given = self.config, self.given
        facts, derived = facts_of(config, given) if config is not None else ({}, [])
        self.inferred += derived
        steered = [row for row in self.rows if row.policy]
        if steered:
            facts["scheme"] = Fact("muppet", f"{self.log.place}:{steered[0].line}")
            self.corrections.insert(0, f"{self.log.place}:{steered[0].line} {SHIFT}")
        stretches = self._stretches()
        if not more and steered and steered[-1] is self.rows[-1]:
            more, told, guessed = after_rows(self.log.place, self.rows, config, by_rule)
            self.corrections += told
            self.inferred += guessed
            more = [self.after_last(inferred=True)] if more else []
        self._tell()
        params = scheme_params(config) if config is not None and steered else {}
        files = (self.log,) if config is None else (self.log, config.file)
        notes = tuple(self.corrections), tuple(self.inferred)
        return Run(reader, files, (*stretches, *more), facts, params, *notes)

    def after_last(self, inferred: bool, gd: Mapping[str, float] | None = None) -> Stretch:
        """The epoch after the last row, which says what it trained in."""
        last = self.rows[-1]
        return Stretch(last.epoch + 1, self.precision([last.format]), None, last.lr, gd or {}, inferred=inferred)

    # The shift

    def _stretches(self) -> list[Stretch]:
        found, before = [], None
        self._first_configured = self._configured_from()
        for row in self.rows:
            lr, formats = (row.lr, [row.format]) if not row.policy else self._used(row, before)
            if before is not None and before.epoch + 1 < row.epoch:
                self.note(row.line, f"no row of {spans(range(before.epoch + 1, row.epoch))}")
            found.append(Stretch(row.epoch, self.precision(formats), None, lr, row.gd, row.metrics))
            before = row
        return found

    def precision(self, formats: Sequence[str]) -> PassPrecision | None:
        """All passes in one of these formats, the master weights in FP32; None where the user says it."""
        if self.given.precision is not None:
            return None
        if len(formats) > 1:
            return PassPrecision.same(formats, "fp32")
        return passes(*formats * 3, None if formats == ["fp32"] else "fp32")

    def _used(self, row: Row, before: Row | None) -> tuple[float | None, list[str]]:
        """Learning rate and formats (one, or those it may have been) of the epoch that the row ends."""
        if before is None or row.begins == BRANCH or (row.begins and row.epoch == self._first_configured):
            return self._first(row)
        if before.epoch + 1 == row.epoch:
            return before.lr, [before.format]
        rate = before.lr if before.lr == row.lr else None
        if before.format == row.format:
            return rate, [row.format]
        found = f"which of {before.format} to {row.format} epoch {row.epoch} had is not known: no row of the one before"
        self.note(row.line, found)
        return rate, self._between(before.format, row.format)

    def _between(self, first: str, last: str) -> list[str]:
        ladder = [name_of(bits) for bits in (self.config and self.config.bits("prec_schedule")) or ()]
        if first in ladder and last in ladder and ladder.index(first) < ladder.index(last):
            return list(dict.fromkeys(ladder[ladder.index(first) : ladder.index(last) + 1]))
        return [first, last]

    def _first(self, row: Row) -> tuple[float | None, list[str]]:
        """Those of an epoch without a row before it that tells: of the configuration where it is of that epoch."""
        config = self.config
        if config is not None and config.first_bits is not None and row.epoch == self._first_configured:
            bits = config.first_bits
            first = self.format(bits, "Float" if bits == "-1" else "DFixed", f"{config.place('bit_width')}:")
            if first != row.format and config.epochs("prec_epoch_schedule") is None:
                found = f"epoch {row.epoch} in {first} ({config.place('bit_width')}), the next in {row.format}"
                self.note(row.line, found)
            return config.number("learning_rate") or None, [first]
        self.inferred.append(
            f"precision and learning rate of epoch {row.epoch}: those of its row, which are epoch {row.epoch + 1}'s"
        )
        return row.lr, [row.format]

    def _configured_from(self) -> int | None:
        if self.config is None or not self.config.flag("branch"):
            return 0
        begins = [row.epoch for row in self.rows if row.begins] or [row.epoch for row in self.rows[:1]]
        return begins[-1] if begins and begins[-1] else None

    def _tell(self) -> None:
        for name, epochs in self._not_finite.items():
            kept = {row.epoch for row in self.rows}
            if epochs := sorted(epochs & kept):
                end = ": the run diverged" if "loss" in name else ""
                self.corrections.append(
                    f"{self.log.place} {name} is not a finite number in {spans(epochs)} and left out there{end}"
                )
