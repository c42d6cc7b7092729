"""The recipe of each emulated scheme, by its name and the format of the step.

Where the schemes come from, and which layers are exceptions, stands in `data/schemes/*.toml`, by which the cost model
prices them. What is rounded here is what is priced there; each function says where the two differ. All sum in FP32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from perfmodel.errors import InputError
from perfmodel.formats import Format, find_format
from perfmodel.quantisers.affine import RULES
from perfmodel.quantisers.floats import BF16, E5M2, FP16, WANG8, WANG16
from perfmodel.quantisers.tensors import check_bits, check_option
from perfmodel.schemes import find_scheme
from perfmodel.schemes.scheme import refuse_format
from perfmodel.training import choices
from perfmodel.training.layers import Roles
from perfmodel.training.recipe import PLAIN, Recipe, Rounder, gemm_layers
from perfmodel.training.rounders import affine, by_sample, dynamic, nearest, program, scaled_e4m3, stochastic, tiled

__all__ = ["EMULATED", "MODES", "PLAIN", "Recipe", "find_recipe"]

MODES = ("reference", "paper")
WIDE = 15  # mantissa bits, without the sign, of HBFP's weights that are updated


@dataclass(frozen=True, slots=True)
class Wanted:
    """What besides its format a recipe depends on: the arguments of `find_recipe`."""

    mode: str
    backward: int
    rule: str
    roles: Roles | None


def find_recipe(
    scheme_name: str,
    format_: str,
    mode: str = "reference",
    backward: int = 8,
    rule: str = "paper",
    roles: Roles | None = None,
) -> Recipe:
    """The recipe of a bundled scheme's step in a format: the same object for the same arguments.

    `mode`: MuPPET by its paper or its released code. `backward` and `rule`: CPT's bits of errors, and which range its
    tensors have (`quantisers.affine.tensor_range`). `roles`: the network's exceptional layers. Raises `UnknownName`
    (E1006 no scheme, E1004 no format), `Unsupported` (E1104: the scheme does not train in it), `InputError` (E1721:
    training in the scheme is not emulated, E1528 no such mode or rule, E1521 no such width).

    >>> find_recipe("muppet", "dfx8").title, find_recipe("muppet", "fp32").weights
    ('muppet dfx8', None)
    """
    scheme, found = find_scheme(scheme_name), find_format(format_)
    if scheme_name not in BOOK:
        raise InputError.at("E1721", f"scheme {scheme.name}:", "is not emulated.", f"Emulated: {', '.join(EMULATED)}.")
    check_option("mode", mode, MODES)
    check_option("rule", rule, RULES)
    check_bits(backward, 1, 16, "backward")
    if found.name not in scheme.formats:
        raise refuse_format(scheme, found)
    return PLAIN if found.name == "fp32" else _recipe(scheme_name, found, Wanted(mode, backward, rule, roles))


@cache
def _recipe(scheme_name: str, format_: Format, wanted: Wanted) -> Recipe:
    return BOOK[scheme_name](format_, wanted)


def _muppet(format_: Format, wanted: Wanted) -> Recipe:
    """One scale a tensor; in `reference` mode one an image, no clamp, and working weights that change with the step.

    Rounded: images, outputs and input gradients of convolutions, FC layers and average pools but auxiliary heads', all
    parameters and their gradients. Unlike what is priced, gradients of these layers' weights are rounded once, not
    twice, and of pools to 1x1 the whole input gradient is, where the price counts one element a channel.
    """
    reference = wanted.mode == "reference"
    rounder = (program if reference else dynamic)(format_.bits)
    return Recipe(
        f"muppet {format_.name}", images=program(format_.bits, per_image=True) if reference else rounder,
        outputs=rounder, weights=rounder, input_gradients=rounder, parameter_gradients=rounder, all_parameters=True,
        decays_working=True, at_once=not reference, layers=choices.main_path(wanted.roles),
    )  # fmt: skip


def _mixed(format_: Format, wanted: Wanted) -> Recipe:
    """FP16 or BF16 storage: every tensor that hooked layers read or write, every parameter's copy and gradient.

    Unlike what is priced, sums of branches, batch norm, ReLU and max pools write FP32; what a convolution or FC layer
    reads of it is rounded there, the rest never.
    """
    near = nearest({"fp16": FP16, "bf16": BF16}[format_.name])
    return Recipe(
        f"mixed {format_.name}", images=near, inputs=near, weights=near, outputs=near, output_gradients=near,
        input_gradients=near, parameter_gradients=near, all_parameters=True,
    )  # fmt: skip


def _fp8(format_: Format, wanted: Wanted) -> Recipe:
    """Mellempudi et al.: E5M2, to nearest forward, errors and weight gradients stochastically; FP16 masters.

    The first and the last layer in FP16. Weight gradients are E5M2 as in the paper, where the price is of two bytes;
    gradients of biases and batch norm, and what else the price stores in FP16, stay in FP32.
    """
    return _between_ends("fp8", format_, nearest(E5M2), wanted.roles)


def _fp8_hybrid(format_: Format, wanted: Wanted) -> Recipe:
    """Weights and activations in E4M3 with a scale for each tensor, else as `fp8`; either FP8 format names it."""
    return _between_ends("fp8-hybrid", format_, scaled_e4m3, wanted.roles)


def _fp8_chunked(format_: Format, wanted: Wanted) -> Recipe:
    """Wang et al.: (1,5,2) operands to nearest, image and last layer in (1,6,9), the update in it stochastically.

    Not emulated: sums in (1,6,9) in chunks of 64. Weight gradients are rounded to it after FP32 sums, those of biases
    and batch norm are not. The price has two bytes of FP16 where (1,6,9) stands here.
    """
    narrow, wide, loose = nearest(WANG8), nearest(WANG16), stochastic(WANG16)
    update = {"parameter_gradients": wide, "momentum": loose, "masters": loose}
    last = Recipe("fp8-chunked fp16", inputs=wide, weights=wide, output_gradients=wide, layers=gemm_layers, **update)
    if format_.name == "fp16":
        return last
    eight = {"weights": narrow, "output_gradients": narrow, **update}
    first = Recipe("fp8-chunked first", inputs=wide, layers=choices.first(wanted.roles), other=last, **eight)
    return Recipe("fp8-chunked", inputs=narrow, layers=choices.inner(wanted.roles), other=first, **eight)


def _cpt(format_: Format, wanted: Wanted) -> Recipe:
    """Inputs and weights in the format's bits, to nearest, a range for each output channel; errors stochastically.

    FC layers stay in FP32; of networks with large images the first convolution and 1x1 shortcuts too. Evaluation takes
    the range of its own batch, not a running mean. The `reference` rule, which the released code is read to have, cuts
    positive errors off as soon as one sample has none: training may diverge.
    """
    bits, rule = format_.bits, wanted.rule
    return Recipe(
        f"cpt {format_.name}", inputs=affine(bits, rule), weights=affine(bits, rule, by_channel=True),
        output_gradients=affine(wanted.backward, rule, stochastically=True), layers=choices.cpt(wanted.roles),
    )  # fmt: skip


def _hbfp(format_: Format, wanted: Wanted) -> Recipe:
    """Tiles of 24 x 24 of all parameters, wide (15 bits and sign) and of these narrow; all stochastically.

    Inputs and errors have one exponent a sample, as in the program's layers; the price is of tiles in both operands.
    The program makes the narrow weights of the update before that is rounded, and its layers round them once more by
    output channel: neither is followed, nor priced. bfp/bfp_ops.py, bfp/bfp_optim.py.
    """
    return _blocks("hbfp", format_, by_sample(format_.bits - 1), 24)


def _hbfp_tensor(format_: Format, wanted: Wanted) -> Recipe:
    """As `hbfp`, with one exponent for each whole tensor."""
    return _blocks("hbfp-tensor", format_, tiled(format_.bits - 1, 0), 0)


def _blocks(title: str, format_: Format, operands: Rounder, tile: int) -> Recipe:
    return Recipe(
        f"{title} {format_.name}", inputs=operands, weights=tiled(format_.bits - 1, tile), output_gradients=operands,
        masters=tiled(WIDE, tile), all_parameters=True, layers=gemm_layers,
    )  # fmt: skip


def _between_ends(title: str, format_: Format, forward: Rounder, roles: Roles | None) -> Recipe:
    """FP8 between the first and the last layer, these in FP16; or FP16 in all layers."""
    near, loose, masters = nearest(FP16), stochastic(E5M2), stochastic(FP16)
    ends = Recipe(
        f"{title} fp16", inputs=near, weights=near, output_gradients=near, parameter_gradients=near, masters=masters,
        layers=gemm_layers,
    )  # fmt: skip
    if format_.name == "fp16":
        return ends
    return Recipe(
        title, inputs=forward, weights=forward, output_gradients=loose, parameter_gradients=loose, masters=masters,
        layers=choices.inner(roles), other=ends,
    )  # fmt: skip


BOOK: dict[str, Callable[[Format, Wanted], Recipe]] = {
    "fp32": _mixed, "mixed": _mixed, "mixed-static": _mixed, "bf16": _mixed, "muppet": _muppet, "fp8": _fp8,
    "fp8-hybrid": _fp8_hybrid, "fp8-chunked": _fp8_chunked, "cpt": _cpt, "hbfp": _hbfp, "hbfp12": _hbfp,
    "hbfp-tensor": _hbfp_tensor,
}  # fmt: skip
EMULATED = tuple(BOOK)
