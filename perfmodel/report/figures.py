"""Results as pictures. Each function takes a tidy frame and returns a Figure; `write_figure` puts one into a file."""

from __future__ import annotations

import os

from matplotlib.figure import Figure

from perfmodel.output import FIGURE_SUFFIXES, check_suffix, write_file
from perfmodel.report.advice_figure import advice_figure
from perfmodel.report.policy_figure import policy_figure
from perfmodel.report.roofline_figure import roofline_figure
from perfmodel.report.run_figure import timeline_figure
from perfmodel.report.sidebyside_figure import devices_figure, schemes_figure
from perfmodel.report.speedup_figure import speedup_figure
from perfmodel.report.step_figure import breakdown_figure
from perfmodel.report.style import save

__all__ = [
    "advice_figure",
    "breakdown_figure",
    "devices_figure",
    "policy_figure",
    "roofline_figure",
    "schemes_figure",
    "speedup_figure",
    "timeline_figure",
    "write_figure",
]


def write_figure(figure: Figure, path: str | os.PathLike) -> None:
    """Draw a figure to `path` in the format of its suffix; errors as `perfmodel.output.write_text`, and E1904."""
    suffix = check_suffix(path, FIGURE_SUFFIXES)
    write_file(path, lambda file: save(figure, file, suffix.removeprefix(".")))
