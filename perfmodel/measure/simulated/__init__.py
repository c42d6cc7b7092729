"""A simulated GPU on a virtual clock, with known truth, for testing and for trying out the measuring engine."""

from perfmodel.measure.simulated.backend import Simulated
from perfmodel.measure.simulated.scenario import Scenario, find_scenario, read_scenario, scenario_names
from perfmodel.measure.simulated.truth import Truth

__all__ = ["Scenario", "Simulated", "Truth", "find_scenario", "read_scenario", "scenario_names"]
