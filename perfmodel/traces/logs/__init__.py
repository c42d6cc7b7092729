"""Logs of training runs: what they share, whatever their format. The formats themselves are in `traces/readers/`.

`logfile.py` is the file, `given.py` what the user says beside it, `keys.py`, `names.py` and `numbers.py` what names and
cells mean. `csvtable.py` makes rows of cells, `series.py` of values by tag, `table.py` epochs of rows, `steps.py` and
`counting.py` how many iterations these had; `header.py` and `run.py` make the trace of it all. What only one kind of
log needs is in a folder of its own.
"""

from perfmodel.traces.logs.given import FIELDS, Given
from perfmodel.traces.logs.read import is_trace, read_log, reader_names

__all__ = ["FIELDS", "Given", "is_trace", "read_log", "reader_names"]
