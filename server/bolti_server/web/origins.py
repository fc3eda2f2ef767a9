"""Origins of web pages, as browsers write them (RFC 6454, section 6.2): scheme, host, and a port that is not the scheme's.

Rule: a public key names the origins that may use it, over https (http for this machine only: a browser gives a microphone
to no other page). A browser tells the origin of a page truthfully; a program can tell any. So an origin keeps a key that is
in a page from being used by other pages, and is no proof of who asks (docs/decisions/0017).
"""

from __future__ import annotations

import re
from collections.abc import Set
from urllib.parse import urlsplit

from bolti_server.base.errors import Fault, Refusal

PORTS = {"https": 443, "http": 80}
_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_ADDRESS = re.compile(r"\[[0-9a-f:.]+\]")


class NoOrigin(ValueError):
    """Says why in a sentence."""


def canonical_origin(text: str) -> str:
    """`text` as a browser would write it in `Origin`. Raises NoOrigin."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise NoOrigin("Is no origin. Expected e.g. https://www.example.com.") from None
    if parts.scheme not in PORTS or not host or "@" in parts.netloc:
        raise NoOrigin("Is no origin. Expected e.g. https://www.example.com.")
    if parts.path or parts.query or parts.fragment or text[-1] in "?#":
        raise NoOrigin("Has more than scheme, host and port: leave the path out.")
    host = _host(host)
    if parts.scheme == "http" and not _is_this_machine(host):
        raise NoOrigin("Is http, which only localhost may be. Serve the page over https.")
    return f"{parts.scheme}://{host}" + ("" if port in (None, PORTS[parts.scheme]) else f":{port}")


def origin_refusal(origins: Set[str], origin: str | None) -> list[Refusal]:
    """403 origin_not_allowed where a public key is used by anything but pages of its origins; else nothing."""
    if origin in origins:
        return []
    told = (
        "the request has no Origin header: only browsers send it. Programs use a secret key"
        if origin is None
        else f"{origin[:300]} is none of them"
    )
    detail = f"This public key works on pages of its own origins alone, and {told}."
    fault = Fault("origin_not_allowed", detail, "header:Origin")
    return [Refusal(403, "origin_not_allowed", detail, faults=[fault])]


def _host(host: str) -> str:
    """Lower case, and names of other alphabets in the letters of the DNS."""
    if ":" in host:
        host = f"[{host}]"
    elif not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            raise NoOrigin("Its host is no name.") from None
    if not (_NAME.fullmatch(host) or _ADDRESS.fullmatch(host)) or len(host) > 253:
        raise NoOrigin("Its host is no name.")
    return host


def _is_this_machine(host: str) -> bool:
    return host in ("localhost", "127.0.0.1", "[::1]") or host.endswith(".localhost")
