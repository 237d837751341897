"""Ids as callers write them."""

import re

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

# Parts of an error about a text that is not an id.
NO_UUID = "must be a UUID: 36 characters, such as 5f0b1d9e-3f0c-4c3e-9a61-0d6f1f0a7b11"
NO_RUN_ID = (
    "must be the id of a run, such as 5f0b1d9e-3f0c-4c3e-9a61-0d6f1f0a7b11; commands also accept its beginning, from "
    "4 characters on, if no other id begins so (ListRuns: filter.id_prefix)"
)


def normalize_uuid(text: str) -> str:
    """Return ``text``, a UUID in upper or lower case, as the store keeps it; return an empty string for any other text.

    The other forms that Python's ``UUID`` accepts (braces, URNs, no hyphens, hyphens anywhere) are refused: an id that
    is copied has the form in which the server printed it.
    """
    return text.lower() if UUID.fullmatch(text) else ""
