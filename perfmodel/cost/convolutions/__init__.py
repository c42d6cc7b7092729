"""What a convolution costs as a library runs it: with the fastest of several algorithms, each with its label."""

from perfmodel.cost.convolutions.algorithms import ALGORITHMS, algorithm_times, library_estimates
from perfmodel.cost.convolutions.features import CONVOLUTION_FEATURES, features

__all__ = ["ALGORITHMS", "CONVOLUTION_FEATURES", "algorithm_times", "features", "library_estimates"]
