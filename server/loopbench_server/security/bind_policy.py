"""Rule for addresses that other machines can reach."""

from loopbench.addresses import is_loopback


def find_missing_protection(address: str, *, tls: bool, tokens: bool, insecure: bool) -> list[str]:
    """Return what serving on ``address`` lacks, with its flags; nothing on loopback or with ``--insecure``."""
    if insecure or is_loopback(address):
        return []
    needed = {"TLS (--tls-certificate, --tls-key)": tls, "tokens (--tokens-file)": tokens}
    return [lacking for lacking, given in needed.items() if not given]
