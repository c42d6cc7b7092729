"""`perfmodel train` where PyTorch is not installed, or does not load; needs none."""

import sys

import pytest

from perfmodel.cli import main
from perfmodel.errors import InputError
from perfmodel.training import check_torch


@pytest.fixture
def without_torch(monkeypatch):
    """Importing torch fails as where it is not there."""
    monkeypatch.setitem(sys.modules, "torch", None)


def test_one_line_says_what_to_install(without_torch, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "-o", "run.jsonl"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "E1701 PyTorch: is not installed. Install it: pip install 'perfmodel[train]'.\n"
    assert not [*tmp_path.iterdir()]


def test_help_needs_none(without_torch, capsys):
    assert main(["train", "--help"]) == 0
    assert "--ladder" in capsys.readouterr().out


def test_a_torch_that_does_not_load(monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch.so: cannot open shared object file')\n")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"E1701 PyTorch: cannot be imported: libtorch\.so: cannot open"):
        check_torch()
