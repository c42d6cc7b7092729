"""What holds for all tests."""

import signal

import pytest
from hypothesis import settings

settings.register_profile("perfmodel", deadline=None)  # a busy machine is no failure
settings.load_profile("perfmodel")


@pytest.fixture(autouse=True, scope="session")
def _signals_as_in_a_terminal():
    """A shell starts background jobs with SIGINT ignored, nohup with SIGHUP; their processes would inherit that."""
    usual = {"SIGINT": signal.default_int_handler, "SIGTERM": signal.SIG_DFL, "SIGHUP": signal.SIG_DFL}
    for name, handler in usual.items():
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
