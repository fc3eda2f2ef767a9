"""The internal URL: where workers find the server, with the token that it takes from them.

The probe offers a worker without a name: whoever takes the token refuses the offer (400), whoever does not refuses the token
(401). Nothing is registered and no call is claimed.
"""

from __future__ import annotations

from collections.abc import Sequence

import httpx2

from bolti_server.entrypoints.doctor.findings import Finding, ok, problem
from bolti_server.worker_api.messages import PROTOCOL_HEADER, PROTOCOL_VERSION


async def look_at_server(http: httpx2.AsyncClient, url: str, token: str) -> Sequence[Finding]:
    check = "internal url"
    try:
        answer = await http.post(
            f"{url.rstrip('/')}/internal/claim",
            json={"worker_id": "", "name": "doctor", "capacity": 0},
            headers={"Authorization": f"Bearer {token}", PROTOCOL_HEADER: PROTOCOL_VERSION},
        )
    except httpx2.HTTPError as error:
        reason = str(error) or type(error).__name__
        advice = "Start `bolti-server serve`, or correct BOLTI_INTERNAL_URL."
        return [problem(check, f"no server answers at {url}: {reason}.", advice)]
    code = _code(answer)
    if answer.status_code == 400 and code == "validation_failed":
        return [ok(check, f"the server answers at {url} and takes the workers' token.")]
    if code == "unauthenticated":
        advice = "BOLTI_WORKER_TOKEN has to be the same for server and workers."
        return [problem(check, f"the server at {url} refuses the workers' token.", advice)]
    if code is not None:
        detail = f"the server at {url} does not understand this version ({code})."
        return [problem(check, detail, "Run one version of Bolti everywhere.")]
    detail = f"what answers at {url} is no Bolti server (HTTP {answer.status_code})."
    return [problem(check, detail, "Correct BOLTI_INTERNAL_URL.")]


def _code(answer: httpx2.Response) -> str | None:
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return None
    try:
        found = answer.json().get("code")
    except (ValueError, AttributeError):
        return None
    return str(found) if found else None
