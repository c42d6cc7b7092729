"""How wrong the cost models are, on published timings that nobody here made."""

from perfmodel.validate.contenders import find_contenders
from perfmodel.validate.folder import FILES, find_folder, read_folder
from perfmodel.validate.judging import Verdict, judge
from perfmodel.validate.ledger import Leak, Ledger

__all__ = ["FILES", "Leak", "Ledger", "Verdict", "find_contenders", "find_folder", "judge", "read_folder"]
