"""The rule about addresses that other machines can reach."""

from loopbench.addresses import is_loopback


def find_missing_protection(address: str, *, tls: bool, tokens: bool, insecure: bool) -> list[str]:
    """What serving on ``address`` lacks, by its flags; nothing on loopback, and nothing under ``--insecure``."""
    if insecure or is_loopback(address):
        return []
    needed = {"TLS (--tls-certificate, --tls-key)": tls, "tokens (--tokens-file)": tokens}
    return [lacking for lacking, given in needed.items() if not given]
