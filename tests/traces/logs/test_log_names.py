"""Formats by the names that logs have for them."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError, PerfModelError, UnknownName
from perfmodel.formats import FORMATS
from perfmodel.traces.logs.names import ALIASES, Precisions, canonical, passes, whole_run
from perfmodel.traces.precision import PassPrecision


def fault(text, formats=None, bits=None):
    with pytest.raises(InputError) as error:
        Precisions(formats, bits).format(text, "f:1:")
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("fp16", "fp16"), ("FP16", "fp16"), (" half ", "fp16"), ("torch.bfloat16", "bf16"), ("bf16-mixed", "bf16"),
        ("32-true", "fp32"), ("float8_e4m3fn", "fp8_e4m3"), ("TensorFloat-32", "tf32"), ("DFX8", "dfx8"),
        ("uint8", "int8"), ("dtype.float64", "fp64"), ("32", "fp32"), ("32.0", "fp32"), ("mxfp4", "mxfp4"),
    ],
)  # fmt: skip
def test_a_format_has_many_names(text, name):
    assert Precisions().format(text, "f:1:") == name


def test_every_alias_is_that_of_a_format_and_of_one_alone():
    aliases = [alias for names in ALIASES.values() for alias in names]
    assert set(ALIASES) <= set(FORMATS)
    assert len(set(aliases)) == len(aliases)
    assert not set(aliases) & set(FORMATS)
    assert [canonical(alias) for alias in aliases] == [name for name, names in ALIASES.items() for _ in names]


@pytest.mark.parametrize(
    ("bits", "text", "name"),
    [("dfx", "8", "dfx8"), ("dfx", "8.0", "dfx8"), ("int", "3.0", "int3"), ("fp", "16", "fp16"), ("fp", "64", "fp64")]
    + [(family, "32", "fp32") for family in ("dfx", "int", "fp")],
)
def test_bits_count_in_the_family_that_the_user_says(bits, text, name):
    assert Precisions(bits=bits).format(text, "f:1:") == name


def test_bits_of_no_family_are_refused():
    assert fault("8") == (
        "E1322 f:1: '8' counts bits, of which there are several kinds. "
        "Give --bits with one of dfx (dynamic fixed point), int (integers), fp (floating point)."
    )


@pytest.mark.parametrize(
    ("bits", "text", "said"), [("fp", "8", "floating point of 8 bits"), ("dfx", "17", "dynamic fixed point of 17 bits")]
)
def test_some_numbers_of_bits_are_no_format(bits, text, said):
    assert fault(text, bits=bits) == f"E1322 f:1: {said} is no format. Name it: --format {text}=FORMAT."


@pytest.mark.parametrize("text", ["0.93", "-8", "0", "nan", "1e400", "1000", "8_0", "８", "", "x", "int 8"])
def test_other_texts_are_no_format(text):
    assert "is no format. Give --map precision=KEY for another key, --format TEXT=FORMAT, or" in fault(text, bits="dfx")


def test_fp8_is_two_formats():
    assert fault("fp8") == (
        "E1322 f:1: 'fp8' is no format. FP8 is two formats: give --format fp8=fp8_e4m3 or fp8=fp8_e5m2."
    )
    assert Precisions({"FP8": "fp8_e5m2"}).format("fp8", "f:1:") == "fp8_e5m2"


def test_what_the_user_says_of_a_text_wins():
    known = Precisions({"8": "fp8_e4m3", "half": "bf16", "low": "float16"}, "int")
    assert [known.format(text, "f:1:") for text in ("8", "8.0", "half", "LOW", "4")] == [
        "fp8_e4m3", "fp8_e4m3", "bf16", "fp16", "int4",
    ]  # fmt: skip
    with pytest.raises(UnknownName, match="E1004"):
        Precisions({"low": "fp7"})


def test_each_error_has_its_own_place_and_memory_is_bounded():
    known = Precisions(bits="int")
    for line in (1, 2):
        with pytest.raises(InputError, match=rf"f:{line}:"):
            known.format("x", f"f:{line}:")
    for i in range(3000):
        known.format(f"{' ' * i}8", "f:1:")
    assert len(known._known) <= 1001


def test_the_precision_of_a_whole_run():
    assert whole_run("half") == PassPrecision.same("fp16")
    assert whole_run(" FP32 ") == PassPrecision.same("fp32")
    found = whole_run("fprop=e4m3, dgrad=E5M2 ,wgrad=bf16,master=float")
    assert found == PassPrecision("fp8_e4m3", "fp8_e5m2", "bf16", "fp32")
    assert whole_run("wgrad=fp16,fprop=fp16,dgrad=fp32") == PassPrecision("fp16", "fp32", "fp16")


@pytest.mark.parametrize(
    "text", ["fprop=fp16", "fprop=fp16,dgrad=fp16,wgrad=fp16,more=fp16", "=", "fprop=fp16,fprop=fp16,dgrad=a,wgrad=b",
             "fprop=fp16,dgrad=fp16,wgrad=fp16,", "fprop=fp16,dgrad=fp16,wgrad=fp16,master=fp32,master=fp32"]
)  # fmt: skip
def test_passes_are_given_all_and_once(text):
    with pytest.raises(InputError, match=r"E1322 precision: .* is not the precision of a run"):
        whole_run(text)


@pytest.mark.parametrize("text", ["fp8", "8", "", "fprop=fp8,dgrad=fp16,wgrad=fp16"])
def test_the_formats_of_a_run_must_be_known(text):
    with pytest.raises(UnknownName, match=r"E1004 precision: .*is not known"):
        whole_run(text)


def test_rows_that_say_the_same_share_one_precision():
    assert passes("fp16", "fp16", "fp16", None) is passes("fp16", "fp16", "fp16", None)


@settings(max_examples=500)
@given(st.text(), st.sampled_from([None, "dfx", "int", "fp"]))
def test_any_text_is_a_format_or_an_error(text, bits):
    with contextlib.suppress(PerfModelError):
        assert Precisions(bits=bits).format(text, "f:1:") in FORMATS
    with contextlib.suppress(PerfModelError):
        assert whole_run(text).known
