"""Logs of JSON objects: strict values, documents read piece by piece, rows."""
