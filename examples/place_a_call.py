"""Place a call and read its record. The number ends in 00: a simulated callee that answers and talks."""

import sys

from bolti import ApiError, Bolti, MissingVariables

bolti = Bolti()  # the profile that `bolti-server dev` wrote, or BOLTI_API_KEY and BOLTI_BASE_URL
agent = bolti.agents.list(is_active=True).data[0]
values = dict.fromkeys(agent.required_variables, "Asha") | {"name": "Asha"}
try:
    call = bolti.agents.outbound_call(agent.id, to_number="+12025550100", variable_values=values)
except MissingVariables as error:
    sys.exit(f"The agent needs {', '.join(error.missing)}.")
except ApiError as error:  # every refusal has a code, and says what to do next
    sys.exit(f"{error.code}: {error}")

conversation = bolti.conversations.wait_until_ended(call.conversation_id, timeout_seconds=90)
print(conversation.text)
if conversation.hangup and conversation.cost:
    cost = conversation.cost.amount_micros / 1_000_000
    print(f"{conversation.hangup.code} after {conversation.duration_seconds} s", end=", ")
    print(f"{cost:.2f} {conversation.cost.currency} from the {conversation.cost.ledger} ledger")
