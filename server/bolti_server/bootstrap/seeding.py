"""What a newcomer's workspace holds: an agent that can talk at once, simulated numbers, an API key.

Rule: repeating changes nothing but a lost key, which is replaced (keys are stored hashed, so it can't be shown again).
What was seeded is found again by the ids in the file, else by its names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs

from bolti_server.agents import queries as agents
from bolti_server.agents.saving import create_agent
from bolti_server.base.db import Tx
from bolti_server.billing import ledger
from bolti_server.bootstrap.local import write_private
from bolti_server.contract import structs
from bolti_server.numbers import queries as numbers
from bolti_server.numbers.assigning import assign_number
from bolti_server.numbers.creating import create_simulated_number
from bolti_server.workspaces import queries as workspaces
from bolti_server.workspaces.creating import create_api_key, create_organization
from bolti_server.world import World

ORGANIZATION_NAME = "bolti-server dev"
AGENT_NAME = "Bolti's front desk"
KEY_NAME = "bolti-server dev"
# The first is the agent's; the others are free, for the agents that a newcomer makes.
FROM_NUMBERS = ("+12025550199", "+12025550198", "+12025550197", "+12025550196")
MORE_NUMBERS = tuple(f"+120255501{number}" for number in range(95, 49, -1))
_LOCK = 0x626F6C74695F73  # "bolti_s": two servers that start on one database seed it one after the other

GREETING = (
    'Hello {{ name | default: "there" }}, this is Mira from Bolti. '
    "Your parcel is ready. When may we bring it?"
)
SYSTEM_PROMPT = (
    "You are Mira. You call customers whose parcel is ready and agree on a time for its delivery. "
    "Look up with check_delivery what is free. When a time is agreed, say goodbye and hang up."
)
DEFAULT_REPLY = "I see. Which day suits you for the parcel?"


def _rule(hear: str, say: str, tool: str | None = None, **arguments: Any) -> structs.LlmRuleInput:
    call = None if tool is None else structs.LlmRuleToolInput(name=tool, arguments=arguments)
    return structs.LlmRuleInput(hear=hear, say=say, tool=call)


# Tried in order, on what the callee said last. `check_delivery` is called where the agent has a tool of that name (the
# demo gives it one); without it the same words are said.
RULES: tuple[structs.LlmRuleInput, ...] = (
    _rule(
        r"\b(good ?bye|bye)\b|that is all|that's all|nothing else|no,? thank",
        "Then we are all set. Thank you, and goodbye!",
        "cut_call",
        reason="The delivery is agreed.",
    ),
    _rule(
        r"stop calling|do not call|don't call|not interested|wrong number",
        "I am sorry for the disturbance. Goodbye!",
        "cut_call",
        reason="The callee does not want this call.",
    ),
    _rule(
        r"tomorrow|today|appointment|morning|afternoon|evening|\b(mon|tues|wednes|thurs|fri|satur|sun)day\b",
        "We can bring your parcel tomorrow between nine and eleven. Does that suit you?",
        "check_delivery",
        order="BX-4711",
    ),
    _rule(
        r"works for me|\b(yes|yeah|sure|fine|perfect|great)\b|suits me|that suits",
        "Wonderful, it is booked. Is there anything else I can do for you?",
    ),
    _rule(
        r"\b(no|not)\b",
        "No problem, then our driver will call you before he comes. Is there anything else?",
    ),
    _rule(r"question|stop you|one moment|wait", "Of course, please go ahead."),
    _rule(r"hello|who (is|are)|hi\b", "This is Mira from Bolti. When may we bring your parcel?"),
    _rule(r"thank", "You are welcome. Is there anything else I can do for you?"),
)


@attrs.frozen
class Seeded:
    """`from_number` is assigned to the agent for outbound calls."""

    organization_id: str
    workspace_id: str
    agent_id: str
    api_key: str
    from_number: str


@attrs.frozen
class NewWorkspace:
    """`api_key` may do everything in the workspace; it is shown this once."""

    organization_id: str
    workspace_id: str
    api_key: str


async def create_workspace(world: World, name: str) -> NewWorkspace:
    """An organization with a workspace, its trial balance, simulated numbers and a first key. Makes another each time."""
    async with world.db.transaction() as tx:
        organization_id, workspace_id = await _new_organization(tx, name)
        for phone_number in FROM_NUMBERS:
            await create_simulated_number(tx, workspace_id, phone_number)
        scopes = [scope.value for scope in structs.Scope]
        key = await create_api_key(tx, world.vault, workspace_id, name="first key", scopes=scopes)
    return NewWorkspace(organization_id, workspace_id, key.token)


async def seed(world: World, file: Path) -> Seeded:
    """Makes what is missing and tells what there is; `file` (mode 0600) keeps the key. Safe to repeat."""
    kept = _read(file)
    api_key = await _working_key(world, kept)
    async with world.db.transaction() as tx:
        await tx.execute("select pg_advisory_xact_lock($1)", _LOCK)
        organization_id, workspace_id = await _workspace(tx, kept.get("workspace_id"))
        agent_id = await _agent(tx, world, workspace_id, kept.get("agent_id"))
        from_number = await _numbers(tx, workspace_id, agent_id)
        if api_key is None or workspace_id != kept.get("workspace_id"):
            api_key = await _new_key(tx, world, workspace_id)
    seeded = Seeded(organization_id, workspace_id, agent_id, api_key, from_number)
    if attrs.asdict(seeded) != kept:
        write_private(file, attrs.asdict(seeded))
    return seeded


def agent_to_create() -> structs.AgentCreate:
    """The newcomer's agent: simulated models, so it needs no key."""
    return structs.AgentCreate(
        name=AGENT_NAME,
        system_prompt=SYSTEM_PROMPT,
        first_message=GREETING,
        stt=structs.SttSettingsInput(provider="simulated"),
        llm=structs.LlmSettingsInput(
            provider="simulated", rules=list(RULES), default_reply=DEFAULT_REPLY
        ),
        tts=structs.TtsSettingsInput(provider="simulated", voice="speech"),
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):  # lost, or cut by a full disk: both are made anew
        return {}
    return kept


async def _working_key(world: World, kept: dict[str, Any]) -> str | None:
    """The kept key, if it still opens the kept workspace."""
    token: str | None = kept.get("api_key")
    if token is None:
        return None
    found = await workspaces.find_working_key_of_any_workspace(
        world.db, world.vault.hash_token(token)
    )
    is_of_workspace = found is not None and found.workspace_id == kept.get("workspace_id")
    return token if is_of_workspace else None


async def _workspace(tx: Tx, kept_id: str | None) -> tuple[str, str]:
    """(organization, workspace): the kept one, the one that an earlier file knew, or a new one."""
    row = await tx.fetchrow(
        """select o.id as organization_id, w.id as workspace_id
           from workspaces w join organizations o on o.id = w.organization_id
           where w.id = $1 or o.name = $2
           order by w.id = $1 desc nulls last, w.id limit 1""",
        kept_id,
        ORGANIZATION_NAME,
    )
    if row is not None:
        return row["organization_id"], row["workspace_id"]
    return await _new_organization(tx, ORGANIZATION_NAME)


async def _new_organization(tx: Tx, name: str) -> tuple[str, str]:
    made = await create_organization(tx, name=name)
    await ledger.open_ledgers(tx, made.organization_id, live_grant_micros=ledger.TRIAL_GRANT_MICROS)
    return made.organization_id, made.workspace_id


async def _agent(tx: Tx, world: World, workspace_id: str, kept_id: str | None) -> str:
    if kept_id is not None and await agents.find_agent(tx, workspace_id, kept_id) is not None:
        return kept_id
    named = await agents.list_agents(
        tx, workspace_id, limit=1, before_id=None, is_active=None, name=AGENT_NAME
    )
    if named:
        return named[0].id
    return (await create_agent(tx, world, workspace_id, agent_to_create())).id


async def _numbers(tx: Tx, workspace_id: str, agent_id: str) -> str:
    """Makes the numbers and tells which one the agent calls from."""
    for phone_number in FROM_NUMBERS:
        await create_simulated_number(tx, workspace_id, phone_number)
    bound = await numbers.outbound_bindings(tx, workspace_id, agent_id, limit=1)
    if bound:
        return bound[0].phone_number
    for phone_number in (*FROM_NUMBERS, *MORE_NUMBERS):
        number = await create_simulated_number(tx, workspace_id, phone_number)
        if number.agent_id is None:  # one that the user gave to another agent stays there
            await assign_number(tx, workspace_id, agent_id, number.id, "outbound")
            return phone_number
    raise AssertionError("all simulated numbers are taken; nobody has that many agents in dev")


async def _new_key(tx: Tx, world: World, workspace_id: str) -> str:
    """A key that may do everything, in place of the lost one."""
    for key in await workspaces.list_keys(tx, workspace_id, limit=100, before_id=None):
        if key.name == KEY_NAME and key.revoked_at is None:
            await workspaces.revoke_key(tx, workspace_id, key.id)
    scopes = [scope.value for scope in structs.Scope]
    made = await create_api_key(tx, world.vault, workspace_id, name=KEY_NAME, scopes=scopes)
    return made.token
