"""MuPPET's logs: rows, the configuration beside them, and what the authors' policy makes of both."""
