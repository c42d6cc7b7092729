"""Doctests import every module: those of `perfmodel/training` need PyTorch, and are left out where it is absent."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("torch") else ["perfmodel/training/*"]
