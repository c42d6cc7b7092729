"""Which layers and passes to compute in a narrow format, once converting and turning tensors round is paid for.

    training steps, each GEMM in each format ─▶ Tariff ─▶ least_plan ─▶ Plan ─▶ a scheme file that every verb takes

A narrow GEMM needs both operands as codes. Each tensor is converted once in a step, however many passes and layers
read it: a layer's input for fprop and wgrad (and for other layers that read it), its weights for fprop and dgrad, the
gradient of its output for dgrad and wgrad. So the choices of passes and layers that share a tensor depend on each
other; `least_plan` finds the least time exactly, for any network.
"""

from perfmodel.advise.advice import Advice, advise
from perfmodel.advise.least import least_plan
from perfmodel.advise.plan import Plan, plan_scheme
from perfmodel.advise.tariff import Tariff, make_tariff
from perfmodel.advise.text import scheme_text

__all__ = ["Advice", "Plan", "Tariff", "advise", "least_plan", "make_tariff", "plan_scheme", "scheme_text"]
