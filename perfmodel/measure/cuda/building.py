"""From a kernel's name to something that launches."""

from __future__ import annotations

from perfmodel.convolution import Convolution
from perfmodel.gemm import Gemm
from perfmodel.measure.backend import BuildFailed
from perfmodel.measure.canary import CANARY
from perfmodel.measure.cuda.baseline import check_vendor, vendor_gemm
from perfmodel.measure.cuda.catalogue import Catalogue
from perfmodel.measure.cuda.functions import Function, OneByOne, convolution_of, library_gemm, problem_of
from perfmodel.measure.cuda.implicit import tensors_of
from perfmodel.measure.cuda.matrices import Matrix, matrices_of
from perfmodel.measure.cuda.operands import A, B, C, Operands
from perfmodel.measure.cuda.pool import Pool
from perfmodel.measure.cuda.runtime import Runtime, VendorGemm
from perfmodel.measure.cuda.streams import Streams
from perfmodel.measure.cuda.tools import Tools
from perfmodel.measure.cutlass.implicit import MOST_BYTES, padded, tensor_bytes
from perfmodel.profiles.kernel import VENDOR, Kernel


def check_convolution(gemm: Gemm, variant: str) -> None:
    """`BuildFailed` where no kernel computes it in implicit form: with the reason, where it is CUTLASS's."""
    conv, fix = gemm.conv, "Measure the explicit GEMM (mapping im2col)."
    if variant == VENDOR:
        raise BuildFailed("cuBLAS has no convolutions", fix)
    if variant:
        return
    if gemm.precision.operand.family == "int" and conv.pass_ != "fprop":
        raise BuildFailed(f"CUTLASS has no {gemm.precision.operand.name} {conv.pass_} in implicit form", fix)
    if conv.groups > 1:
        raise BuildFailed(f"no implicit GEMM kernel here computes {conv.groups} groups", fix)
    if max(tensor_bytes(conv, gemm.precision.operand, gemm.precision.output)) > MOST_BYTES:
        raise BuildFailed(f"a tensor of {conv.text} has 2 GiB or more: CUTLASS's convolutions end there", fix)
    raise BuildFailed(f"no implicit GEMM kernel here computes {conv.text} in {gemm.precision.name}", fix)


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
        if problem.conv:
            check_convolution(problem, kernel.variant)
        elif kernel.view != "gemm":
            raise BuildFailed("there are no implicit GEMM kernels but of convolutions", "Measure the explicit GEMM.")
        elif kernel.variant == VENDOR:
            return self._vendor(problem)
        if not kernel.variant:
            raise BuildFailed("no variant chosen", "Name a kernel of the manifest, or cublas.")
        choice = self._catalogue.choose(problem, kernel.variant)
        conv = self.convolution(kernel)
        if conv:
            wanted = convolution_of(conv, choice.parts, choice.mode, self._sms)
        else:
            wanted = problem_of(problem, choice.parts, choice.mode, self._sms)
        return library_gemm(choice.loaded, wanted, choice.resources, self._runtime, self._pool)

    def convolution(self, kernel: Kernel) -> Convolution | None:
        """The convolution that the kernel computes, with channels padded as it wants them; None where it is none."""
        conv = kernel.problem.conv
        return padded(conv, self._catalogue.choose(kernel.problem, kernel.variant).alignment) if conv else None

    def matrices(self, kernel: Kernel) -> tuple[Matrix, Matrix, Matrix]:
        """A, B and C of a GEMM as they are stored; `BuildFailed` for a convolution without a kernel."""
        conv = self.convolution(kernel)
        return tensors_of(conv, kernel.problem.precision) if conv else matrices_of(kernel.problem)

    def _canary(self, gemm: Gemm) -> Function:
        """A kernel of our own, so that it is the same whatever the manifest holds."""

        def run(operands: Operands, number: int) -> None:
            a, b, c = (operands.address(number, buffer) for buffer in (A, B, C))
            self._tools.sgemm(a, b, c, gemm.m, gemm.n, gemm.k)

        resources = self._runtime.attributes(self._tools.function("pm_sgemm"))
        return Function(lambda operands: OneByOne(operands, run), resources)

    def _vendor(self, gemm: Gemm) -> Function:
        check_vendor(gemm)

        def bind(operands: Operands) -> OneByOne:
            calls: dict[int, VendorGemm] = {}  # thousands of launches go to the same few sets

            def run(operands: Operands, number: int) -> None:
                if number not in calls:
                    calls[number] = vendor_gemm(gemm, operands, number)
                self._runtime.gemm(calls[number])

            return OneByOne(operands, run)

        return Function(bind)
