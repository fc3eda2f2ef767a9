"""Read what has happened: the last calls, how they ended, what they cost, and what is left."""

from itertools import islice

from bolti import Bolti

bolti = Bolti()
print("started               to            status       hangup           seconds")
for call in islice(bolti.conversations.list(direction="outbound", limit=50), 100):  # over the pages
    code = call.hangup.code if call.hangup else "-"
    print(
        f"{call.created_at[:19]}   {call.to_number or '-':13} {call.status:12} {code:16} "
        f"{'-' if call.duration_seconds is None else call.duration_seconds:>7}"
    )

balance = bolti.billing.balance(ledger="test")
spent = sum(
    -movement.available_change_micros - movement.held_change_micros
    for movement in bolti.billing.ledger(ledger="test", limit=100)
    if movement.kind == "settle"
)
print(
    f"spent {spent / 1e6:.2f} of the test ledger, {balance.available_micros / 1e6:.2f} left",
    end=" ",
)
print(balance.currency)
