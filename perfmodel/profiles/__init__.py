"""Timings on file: the journal, what it holds, and what it says."""
