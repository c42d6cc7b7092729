"""Training schemes: TOML files under `data/schemes`, or a user's own, and the step that each makes of a network."""

from perfmodel.schemes.breakdown import find_breakdown_scheme, names_scheme, step_words, uniform
from perfmodel.schemes.files import find_scheme, read_scheme, scheme_names
from perfmodel.schemes.overhead import LEVELS, Overhead, find_overhead
from perfmodel.schemes.scheme import Scheme, bit_operations
from perfmodel.schemes.step import gemm_choice, training_step
from perfmodel.schemes.stretches import Stretch, first_step, run_stretches
from perfmodel.schemes.units import Choice, choose_unit

__all__ = [
    "LEVELS",
    "Choice",
    "Overhead",
    "Scheme",
    "Stretch",
    "bit_operations",
    "choose_unit",
    "find_breakdown_scheme",
    "find_overhead",
    "find_scheme",
    "first_step",
    "gemm_choice",
    "names_scheme",
    "read_scheme",
    "run_stretches",
    "scheme_names",
    "step_words",
    "training_step",
    "uniform",
]
