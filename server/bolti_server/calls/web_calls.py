"""A call in a browser: the conversation, and the token with which one browser joins it.

Rules: everything that is wrong is told at once, and then nothing is made; it takes a place of the workspace like any call
and costs nothing, so no money is held (product.md, section 10). The agent is sent as for any call; it waits in the room for
the browser, at most as long as the token lasts. A page's visitors choose the variables and may shorten the call; they
can't make it longer than the agent's limit.
"""

from __future__ import annotations

from datetime import timedelta

from bolti_server.agents import reading as agents
from bolti_server.agents.reading import AgentForCall
from bolti_server.base.clock import rfc3339
from bolti_server.base.db import Tx
from bolti_server.base.errors import Refusal, combine, not_found
from bolti_server.base.ids import new_id
from bolti_server.calls import checking, placing_queries
from bolti_server.calls.lifecycle import QUEUED_SECONDS
from bolti_server.calls.limits import RETRY_LIMITED_SECONDS
from bolti_server.calls.placing import Asking
from bolti_server.calls.web_call_queries import WebDraft, insert_web_call
from bolti_server.contract.structs import WebCall, WebCallRequest
from bolti_server.world import World

JOIN_SECONDS = 60  # for the browser, from when it was asked for
PARTICIPANT_NAME = "Browser"


async def start_web_call(
    tx: Tx, world: World, asking: Asking, wanted: WebCallRequest | Refusal
) -> WebCall:
    """The call, accepted in this transaction. `wanted` is a Refusal where the body is not valid.

    Raises Refusal with all that is wrong; the caller rolls back, so that nothing is made.
    """
    complaints = [wanted] if isinstance(wanted, Refusal) else []
    agent = await agents.for_call(tx, asking.workspace_id, asking.agent_id)
    if agent is None:
        raise combine([not_found("agent"), *complaints])
    refusals = [*complaints, *_refusals(world, wanted, agent)]
    if refusals or isinstance(wanted, Refusal):
        limit = await placing_queries.find_limit(tx, asking.workspace_id)
        raise combine([*refusals, *await _place_refusals(tx, asking, limit)])
    assert world.media is not None, "it was refused above"
    limit = await placing_queries.lock_places(tx, asking.workspace_id)
    if full := await _place_refusals(tx, asking, limit):
        raise combine(full)
    draft = _draft(asking, wanted, agent)
    await insert_web_call(tx, asking.workspace_id, draft, deadline_seconds=QUEUED_SECONDS)
    tx.wake("claimable")
    # By our clock, not the database's: the media server judges the token, and knows nothing of the database.
    expires_at = world.clock.now() + timedelta(seconds=JOIN_SECONDS)
    return WebCall(
        conversation_id=draft.id,
        server_url=world.settings.browser_media_url,
        token=world.media.browser_token(draft.id, name=PARTICIPANT_NAME, seconds=JOIN_SECONDS),
        expires_at=rfc3339(expires_at),
    )


def _refusals(world: World, wanted: WebCallRequest | Refusal, agent: AgentForCall) -> list[Refusal]:
    found = []
    if not isinstance(wanted, Refusal):
        missing = checking.missing_values(wanted.variable_values, agent)
        found += [missing] if missing is not None else []
    if not agent.is_active:
        found.append(checking.inactive())
    if world.media is None:
        found.append(checking.media_missing())
    return found


async def _place_refusals(tx: Tx, asking: Asking, limit: int) -> list[Refusal]:
    """What the calls of this moment have against another one. It counts where the places are locked."""
    places = await placing_queries.find_places(tx, asking.workspace_id, "")
    if places.live < limit:
        return []
    detail = (
        f"The workspace has all the {limit} calls that it may have at one time. Try again later."
    )
    retry = {"Retry-After": str(RETRY_LIMITED_SECONDS)}
    return [Refusal(429, "concurrency_limit_reached", detail, headers=retry)]


def _draft(asking: Asking, wanted: WebCallRequest, agent: AgentForCall) -> WebDraft:
    longest = agent.configuration.limits.max_duration_seconds
    return WebDraft(
        id=new_id("conv"),
        organization_id=asking.organization_id,
        agent_id=agent.id,
        agent_version=agent.version,
        variable_values=wanted.variable_values,
        idempotency_key=asking.idempotency_key,
        max_duration_seconds=min(wanted.max_duration_seconds or longest, longest),
        join_seconds=JOIN_SECONDS,
    )
