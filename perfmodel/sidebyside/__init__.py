"""Training schemes side by side, without a trace: runs on one network, and one step of each on a grid of many."""

from perfmodel.sidebyside.costs import (
    GROUPS,
    Refused,
    Run,
    SchemeCost,
    SideBySide,
    StretchCost,
    at_most_bits,
    is_cyclic,
    price_schemes,
    scheme_cost,
    usual_samples,
)
from perfmodel.sidebyside.grid import Cell, price_grid

__all__ = [
    "GROUPS",
    "Cell",
    "Refused",
    "Run",
    "SchemeCost",
    "SideBySide",
    "StretchCost",
    "at_most_bits",
    "is_cyclic",
    "price_grid",
    "price_schemes",
    "scheme_cost",
    "usual_samples",
]
