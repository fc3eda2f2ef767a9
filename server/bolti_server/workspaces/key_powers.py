"""What a new API key may do, and from where: pure rules.

Rules: a key can only give what it has itself. A public key may start browser calls, from its origins, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from bolti_server.base.errors import Fault, Refusal, combine
from bolti_server.contract import structs
from bolti_server.web.authentication import Caller
from bolti_server.web.bodies import validation_failed
from bolti_server.web.origins import NoOrigin, canonical_origin
from bolti_server.workspaces.queries import KeyKind

PUBLIC_SCOPE = structs.Scope.web_calls_write.value


def key_powers(
    body: structs.ApiKeyCreate, caller: Caller
) -> tuple[KeyKind, Sequence[str], Sequence[str]]:
    """(kind, origins, scopes). Raises Refusal 400 and 403 with all that is wrong."""
    is_public = body.kind is structs.ApiKeyKind.public
    origins, faults = _origins(body.origins)
    if is_public and not body.origins:
        faults.append(Fault("required", "A public key needs the origins of its pages.", "/origins"))
    if not is_public and body.origins:
        detail = "Only a public key has origins. Leave them out, or set kind to public."
        faults.append(Fault("not_allowed", detail, "/origins"))
    if is_public and [each.value for each in body.scopes or ()] not in ([], [PUBLIC_SCOPE]):
        detail = f"A public key has the scope {PUBLIC_SCOPE} and no other. Leave scopes out."
        faults.append(Fault("not_allowed", detail, "/scopes"))
    wanted = [each.value for each in body.scopes] if body.scopes else None
    scopes = [PUBLIC_SCOPE] if is_public else wanted or sorted(caller.scopes)
    refusals = [validation_failed(faults)] if faults else []
    refusals += _beyond(scopes, caller)
    if refusals:
        raise combine(refusals)
    return ("public" if is_public else "secret"), origins, scopes


def _origins(given: Sequence[str]) -> tuple[list[str], list[Fault]]:
    """(as browsers write them, each once; what is wrong with them)."""
    found: dict[str, None] = {}
    faults = []
    for index, text in enumerate(given):
        try:
            found[canonical_origin(text)] = None
        except NoOrigin as error:
            faults.append(Fault("invalid", str(error), f"/origins/{index}"))
    return list(found), faults


def _beyond(scopes: Sequence[str], caller: Caller) -> list[Refusal]:
    """403 where the key that makes it does not have them all."""
    beyond = [scope for scope in scopes if scope not in caller.scopes]
    if not beyond:
        return []
    faults = [
        Fault("insufficient_scope", f"Your key has no {scope}.", f"/scopes/{scopes.index(scope)}")
        for scope in beyond
    ]
    detail = f"A key can only give scopes that it has itself; yours lacks {', '.join(beyond)}."
    extras = {"required_scope": beyond[0]}
    return [Refusal(403, "insufficient_scope", detail, faults=faults, extras=extras)]
