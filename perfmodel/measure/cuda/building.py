"""From a kernel's name to something that launches."""

from __future__ import annotations

from perfmodel.gemm import Gemm
from perfmodel.measure.backend import BuildFailed
from perfmodel.measure.canary import CANARY
from perfmodel.measure.cuda.baseline import NAME as VENDOR
from perfmodel.measure.cuda.baseline import check_vendor, vendor_gemm
from perfmodel.measure.cuda.catalogue import Catalogue
from perfmodel.measure.cuda.functions import Function, OneByOne, library_gemm, problem_of
from perfmodel.measure.cuda.operands import A, B, C, Operands
from perfmodel.measure.cuda.pool import Pool
from perfmodel.measure.cuda.runtime import Runtime
from perfmodel.measure.cuda.streams import Streams
from perfmodel.measure.cuda.tools import Tools
from perfmodel.profiles.kernel import Kernel


class Builder:
    """Builds the kernels of one device."""

    def __init__(self, runtime: Runtime, catalogue: Catalogue, tools: Tools, streams: Streams, pool: Pool):
        self._runtime, self._catalogue, self._tools = runtime, catalogue, tools
        self._streams, self._pool = streams, pool
        self._sms = runtime.properties().sms

    def build(self, kernel: Kernel) -> Function:
        """The kernel, loaded and found able to compute the problem; `BuildFailed` otherwise."""
        problem = kernel.problem
        if not isinstance(problem, Gemm):
            return self._streams.build(problem, kernel.variant)
        if kernel == CANARY:
            return self._canary(problem)
        if kernel.view != "gemm":
            raise BuildFailed("there are no implicit GEMM kernels here", "Measure the explicit GEMM.")
        if kernel.variant == VENDOR:
            return self._vendor(problem)
        if not kernel.variant:
            raise BuildFailed("no variant chosen", "Name a kernel of the manifest, or cublas.")
        choice = self._catalogue.choose(problem, kernel.variant)
        wanted = problem_of(problem, choice.parts, choice.mode, self._sms)
        return library_gemm(choice.loaded, wanted, choice.resources, self._runtime, self._pool)

    def _canary(self, gemm: Gemm) -> Function:
        """A kernel of our own, so that it is the same whatever the manifest holds."""

        def run(operands: Operands, number: int) -> None:
            a, b, c = (operands.address(number, buffer) for buffer in (A, B, C))
            self._tools.sgemm(a, b, c, gemm.m, gemm.n, gemm.k)

        resources = self._runtime.attributes(self._tools.function("pm_sgemm"))
        return Function(lambda operands: OneByOne(operands, run), resources)

    def _vendor(self, gemm: Gemm) -> Function:
        check_vendor(gemm)

        def run(operands: Operands, number: int) -> None:
            self._runtime.gemm(vendor_gemm(gemm, operands, number))

        return Function(lambda operands: OneByOne(operands, run))
