"""What a framework makes of a step: its libraries' speed, its unfused passes, and the host's time for each kernel."""

from perfmodel.framework.groups import GROUPS, Group
from perfmodel.framework.modes import MODES, step_of_mode
from perfmodel.framework.view import Framework, FrameworkView, find_framework, framework_names, read_framework

__all__ = [
    "GROUPS", "MODES", "Framework", "FrameworkView", "Group", "find_framework", "framework_names", "read_framework",
    "step_of_mode",
]  # fmt: skip
