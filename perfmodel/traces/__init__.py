"""What training did: the precision of every epoch, read from a file, built from a schedule, or written.

`trace.py` is the type, `jsonl.py` its file, `bundled.py` finds the traces that come with the package,
`schedule.py` builds one from the epochs at which a run switched, `published.py` does so for MuPPET's runs.
"""

from perfmodel.traces.bundled import find_trace, trace_files
from perfmodel.traces.jsonl import format_trace, parse_trace, read_trace, write_trace
from perfmodel.traces.precision import PassPrecision
from perfmodel.traces.schedule import Setup, candidates_trace, schedule_trace
from perfmodel.traces.trace import SCHEMA, Segment, Trace

__all__ = [
    "SCHEMA",
    "PassPrecision",
    "Segment",
    "Setup",
    "Trace",
    "candidates_trace",
    "find_trace",
    "format_trace",
    "parse_trace",
    "read_trace",
    "schedule_trace",
    "trace_files",
    "write_trace",
]
