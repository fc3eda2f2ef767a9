"""Making and changing agents.

Rule: every save makes a new version, and what is saved can hold a call: provider, model, language and voice are in the
catalogue, every `{{ … }}` can be read and given a value, every tool exists. What is wrong is listed at once.

Changing the primary language resets speech to text to the default with the matching code, unless the same request says
which it shall be: a model that was chosen for one language is deaf to another (product.md §4). An agent on simulated
models keeps them: they understand every language and need no key.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from bolti_server.agents import queries, tool_queries
from bolti_server.agents.configuration_checks import faults_of_configuration, texts_of
from bolti_server.agents.queries import StoredAgent
from bolti_server.agents.reading import configuration_of
from bolti_server.agents.variables import required_names
from bolti_server.base.db import Tx
from bolti_server.base.errors import Fault, not_found
from bolti_server.base.ids import new_id
from bolti_server.contract import structs
from bolti_server.models import catalogue
from bolti_server.web.bodies import validation_failed
from bolti_server.web.preconditions import IfMatch
from bolti_server.world import World

_SETTINGS: dict[str, type[msgspec.Struct]] = {
    "stt": structs.SttSettings,
    "llm": structs.LlmSettings,
    "tts": structs.TtsSettings,
    "turn": structs.TurnSettings,
    "limits": structs.AgentLimits,
    "voicemail": structs.VoicemailSettings,
    "silence_prompt": structs.SilencePrompt,
}


async def create_agent(
    tx: Tx, world: World, workspace_id: str, body: structs.AgentCreate
) -> StoredAgent:
    """The new agent, version 1. Raises Refusal 400 with everything that is wrong."""
    defaults: dict[str, msgspec.Struct] = {
        "stt": default_stt(),
        "llm": _default_llm(),
        "tts": _default_tts(),
        "turn": structs.TurnSettingsInput(),
        "limits": structs.AgentLimitsInput(),
        "voicemail": structs.VoicemailSettingsInput(),
        "silence_prompt": structs.SilencePromptInput(),
    }
    fields = {name: getattr(body, name) for name in body.__struct_fields__}
    for name, default in defaults.items():
        if fields[name] is UNSET:
            fields[name] = default
    configuration = _configuration(fields)
    await _refuse_faults(tx, world, workspace_id, configuration, configuration.tool_ids)
    agent_id = new_id("agent")
    await queries.insert_agent(
        tx, workspace_id, agent_id, name=configuration.name, is_active=configuration.is_active
    )
    await _insert_version(tx, workspace_id, agent_id, 1, configuration)
    return await _found(tx, workspace_id, agent_id)


async def update_agent(
    tx: Tx,
    world: World,
    workspace_id: str,
    agent_id: str,
    body: structs.AgentUpdate,
    *,
    expected: IfMatch | None = None,
) -> StoredAgent:
    """The agent in its new version; calls in progress keep theirs.

    Raises Refusal 404, 412 where it is not in an `expected` version, or 400 with everything that would be wrong with the
    agent as a whole.
    """
    stored = await queries.lock_agent(tx, workspace_id, agent_id)
    if stored is None:
        raise not_found("agent")
    stale = None if expected is None else expected.refusal("agent", stored.version)
    if stale is not None:
        raise stale
    before = configuration_of(stored)
    changes = {
        name: getattr(body, name)
        for name in body.__struct_fields__
        if getattr(body, name) is not UNSET
    }
    if body.stt is UNSET and body.primary_language not in (UNSET, before.primary_language):
        changes["stt"] = _stt_for(before, body.primary_language)
    configuration = _configuration({**msgspec.structs.asdict(before), **changes})
    if (
        body.tool_ids is UNSET
    ):  # a tool that was deleted since is gone, and not this request's fault
        existing = await tool_queries.existing_ids(tx, workspace_id, before.tool_ids)
        configuration.tool_ids = [each for each in before.tool_ids if each in existing]
    await _refuse_faults(tx, world, workspace_id, configuration, changes.get("tool_ids", []))
    return await _save(tx, stored, configuration)


async def save_again(
    tx: Tx,
    world: World,
    stored: StoredAgent,
    configuration: structs.AgentConfiguration,
    *,
    restored_from: int,
) -> StoredAgent:
    """The agent (locked) with an old configuration as its new version, without the tools that have been deleted since.

    Raises Refusal 400 with everything that would be wrong with it today.
    """
    existing = await tool_queries.existing_ids(tx, stored.workspace_id, configuration.tool_ids)
    configuration.tool_ids = [each for each in configuration.tool_ids if each in existing]
    await _refuse_faults(tx, world, stored.workspace_id, configuration, [])
    return await _save(tx, stored, configuration, restored_from=restored_from)


async def _save(
    tx: Tx,
    stored: StoredAgent,
    configuration: structs.AgentConfiguration,
    *,
    restored_from: int | None = None,
) -> StoredAgent:
    version = stored.version + 1
    await _insert_version(
        tx, stored.workspace_id, stored.id, version, configuration, restored_from=restored_from
    )
    await queries.point_at_version(
        tx,
        stored.workspace_id,
        stored.id,
        version,
        name=configuration.name,
        is_active=configuration.is_active,
    )
    return await _found(tx, stored.workspace_id, stored.id)


def default_stt(language: str | None = None) -> structs.SttSettingsInput:
    provider = catalogue.default_of(catalogue.STT)
    return structs.SttSettingsInput(
        provider=provider.provider, model=provider.default_model.model, language=language
    )


def _default_llm() -> structs.LlmSettingsInput:
    provider = catalogue.default_of(catalogue.LLM)
    return structs.LlmSettingsInput(provider=provider.provider, model=provider.default_model.model)


def _default_tts() -> structs.TtsSettingsInput:
    provider = catalogue.default_of(catalogue.TTS)
    return structs.TtsSettingsInput(provider=provider.provider, model=provider.default_model.model)


def _stt_for(
    before: structs.AgentConfiguration, language: str | UnsetType
) -> structs.SttSettingsInput:
    assert isinstance(language, str), "asked only where a language is given"
    provider = catalogue.find(catalogue.STT, before.stt.provider)
    if provider is not None and provider.is_simulated:
        return structs.SttSettingsInput(
            provider=before.stt.provider,
            model=before.stt.model,
            final_delay_ms=before.stt.final_delay_ms,
        )
    default = catalogue.default_of(catalogue.STT).default_model
    # None where the default does not know the language: then the check complains about the language itself.
    return default_stt(catalogue.fitting_language(default, language))


def _configuration(fields: dict[str, Any]) -> structs.AgentConfiguration:
    """Of a request's fields, or of the stored ones with a request's over them: inputs become plain settings."""
    plain = dict(fields)
    for name, kind in _SETTINGS.items():
        plain[name] = msgspec.convert(msgspec.to_builtins(fields[name]), kind)
    plain["transfer_targets"] = msgspec.convert(
        msgspec.to_builtins(fields["transfer_targets"]), list[structs.TransferTarget]
    )
    for name in ("stt", "llm", "tts"):
        plain[f"{name}_fallbacks"] = [
            msgspec.convert(msgspec.to_builtins(each), _SETTINGS[name])
            for each in fields[f"{name}_fallbacks"]
        ]
    plain["built_in_tools"] = [str(name) for name in fields["built_in_tools"]]
    return structs.AgentConfiguration(**plain)


async def _refuse_faults(
    tx: Tx,
    world: World,
    workspace_id: str,
    configuration: structs.AgentConfiguration,
    named_tool_ids: list[str],
) -> None:
    faults = faults_of_configuration(configuration, world.settings.model_base_urls)
    existing = await tool_queries.existing_ids(tx, workspace_id, named_tool_ids)
    faults += [
        Fault(
            "not_found",
            f"There is no tool {tool_id!r} in this workspace.",
            f"/tool_ids/{index}",
        )
        for index, tool_id in enumerate(named_tool_ids)
        if tool_id not in existing
    ]
    if faults:
        raise validation_failed(faults)


async def _insert_version(
    tx: Tx,
    workspace_id: str,
    agent_id: str,
    version: int,
    configuration: structs.AgentConfiguration,
    *,
    restored_from: int | None = None,
) -> None:
    await queries.insert_version(
        tx,
        workspace_id,
        agent_id,
        version,
        configuration=configuration,
        required_variables=required_names(texts_of(configuration).values()),
        restored_from=restored_from,
    )


async def _found(tx: Tx, workspace_id: str, agent_id: str) -> StoredAgent:
    stored = await queries.find_agent(tx, workspace_id, agent_id)
    assert stored is not None, "written a line above, in this transaction"
    return stored
