"""One report of runs as an HTML file that needs nothing else: no network, no server, no other file.

    comparisons ─▶ sections of elements (answer, runs, steps, basis) ─▶ page ─▶ text

`element.py` is the only place where text becomes markup, and escapes it; `vector.py` lets figures in, `page.py` the
fixed style and script. What comes from files of others is data there and stays it.
"""

from perfmodel.report.html.basis import Provenance
from perfmodel.report.html.document import report_text

__all__ = ["Provenance", "report_text"]
