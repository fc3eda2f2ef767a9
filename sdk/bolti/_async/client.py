"""The client: configuration, connections and the resources."""

from __future__ import annotations

from types import TracebackType

from bolti._async.account import AsyncApiKeys, AsyncHealthResource, AsyncWorkspaceResource
from bolti._async.agent_versions import AsyncAgentVersions
from bolti._async.agents import AsyncAgents
from bolti._async.billing import AsyncBilling
from bolti._async.conversations import AsyncConversations
from bolti._async.core import AsyncConnections, AsyncCore
from bolti._async.do_not_call import AsyncDoNotCallResource
from bolti._async.events import AsyncEvents
from bolti._async.numbers import AsyncAgentPhoneNumbers, AsyncNumbers
from bolti._async.tools import AsyncCatalogueResource, AsyncTools
from bolti._async.trunks import AsyncTrunks
from bolti._async.webhook_endpoints import AsyncWebhookEndpoints
from bolti._configuration import configure
from bolti._sending import Options, Wire


class AsyncBolti:
    """A client of one workspace.

    Without arguments it takes BOLTI_API_KEY, BOLTI_BASE_URL and BOLTI_WORKSPACE_ID from the environment, else the profile
    that `bolti-server dev` wrote. `workspace_id` may be left out: a key knows its workspace.

    `timeout_seconds`: for one call with all its tries. `max_retries`: tries after the first, where repeating is safe.
    Make one and share it: it keeps connections, and it may be used from many places at once. Close it with `aclose()` or
    `async with`. Raises ConfigurationError that says what to set.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        workspace_id: str | None = None,
        timeout_seconds: float = 60.0,
        max_retries: int = 4,
    ) -> None:
        options = Options(timeout_seconds=timeout_seconds, max_retries=max_retries)
        configuration = configure(api_key=api_key, base_url=base_url, workspace_id=workspace_id)
        connections = AsyncConnections(configuration)
        self._use(AsyncCore(Wire(configuration), options, connections))

    def _use(self, core: AsyncCore) -> None:
        self._core = core
        self.agents = AsyncAgents(core)
        self.agent_phone_numbers = AsyncAgentPhoneNumbers(core)
        self.agent_versions = AsyncAgentVersions(core)
        self.api_keys = AsyncApiKeys(core)
        self.billing = AsyncBilling(core)
        self.catalogue = AsyncCatalogueResource(core)
        self.conversations = AsyncConversations(core)
        self.do_not_call = AsyncDoNotCallResource(core)
        self.events = AsyncEvents(core)
        self.health = AsyncHealthResource(core)
        self.numbers = AsyncNumbers(core)
        self.tools = AsyncTools(core)
        self.trunks = AsyncTrunks(core)
        self.webhook_endpoints = AsyncWebhookEndpoints(core)
        self.workspace = AsyncWorkspaceResource(core)

    @property
    def base_url(self) -> str:
        """Where the server is."""
        return self._core.wire.configuration.base_url

    @property
    def workspace_id(self) -> str:
        """The workspace of every request; "current": the key's own."""
        return self._core.wire.configuration.workspace_id

    def with_options(
        self, *, timeout_seconds: float | None = None, max_retries: int | None = None
    ) -> AsyncBolti:
        """The same client with other limits, on the same connections (closing one closes both)."""
        now = self._core.options
        options = Options(
            timeout_seconds=now.timeout_seconds if timeout_seconds is None else timeout_seconds,
            max_retries=now.max_retries if max_retries is None else max_retries,
        )
        other = AsyncBolti.__new__(AsyncBolti)
        other._use(self._core.with_options(options))  # noqa: SLF001 - of its own class
        return other

    async def aclose(self) -> None:
        """Closes the connections; the client can't be used afterwards. Safe to repeat."""
        await self._core.connections.aclose()

    async def __aenter__(self) -> AsyncBolti:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<AsyncBolti {self.base_url} workspace {self.workspace_id}>"
