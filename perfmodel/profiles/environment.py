"""What a journal's timings belong to: the header with the environment, and the key that identifies it."""

from __future__ import annotations

import hashlib
import json
import re

from perfmodel.errors import InputError, quote

SCHEMA = "perfmodel.profile/1"
FAMILY = "perfmodel.profile/"
NOT_ONE = "Give a file that `perfmodel profile` wrote."


def environment_key(environment: dict) -> str:
    """The SHA-256 of the environment's canonical JSON (sorted keys, no blanks, ASCII) in hexadecimal digits.

    >>> environment_key({"b": 3, "a": [1.5, "µ"]}) == environment_key({"a": [1.5, "µ"], "b": 3})
    True
    """
    text = json.dumps(environment, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def make_header(environment: dict, created: str, made_by: str) -> dict:
    """The first record of a journal: schema, environment and its key, when (`created`) and by what it was made."""
    key = environment_key(environment)
    return {
        "type": "profile", "schema": SCHEMA, "environment": environment, "environment_key": key,
        "created": created, "made_by": made_by,
    }  # fmt: skip


def check_header(header: dict, place: str) -> None:
    """Nothing, where this is the header of a journal that this version reads.

    Raises `InputError`: E2102 it is no profile, E2103 another version of the schema, E2104 the environment is not the
    one of its key.
    """
    check_schema(header, place)
    if header.get("type") != "profile":
        raise InputError.at("E2102", place, "the first record is not a header.", NOT_ONE)
    environment, key = header.get("environment"), header.get("environment_key")
    if not isinstance(environment, dict):
        raise InputError.at("E2104", place, "the header has no environment.", "Measure again, to a new file.")
    try:
        expected = environment_key(environment)
    except (ValueError, RecursionError):
        expected = None
    if key != expected:
        found = f"the environment is not the one of its key {quote(key)}: the header was edited."
        raise InputError.at("E2104", place, found, "Restore the file, or measure again, to a new one.")


def check_schema(header: object, place: str) -> None:
    """Nothing, where the schema is the one that this version reads; `InputError` (E2102, E2103) otherwise."""
    schema = header.get("schema") if isinstance(header, dict) else None
    if schema == SCHEMA:
        return
    if not isinstance(schema, str) or not schema.startswith(FAMILY):
        found = "is not a profile" + (f": its schema is {quote(schema)}." if schema is not None else ".")
        raise InputError.at("E2102", place, found, NOT_ONE)
    newer = re.fullmatch(r"([2-9]|[1-9][0-9]+)", schema.removeprefix(FAMILY), re.ASCII)
    found = f"the schema {quote(schema)} is {'newer than' if newer else 'not'} what this version reads ({SCHEMA})."
    raise InputError.at("E2103", place, found, "Update perfmodel." if newer else NOT_ONE)
