"""What must hold for workspaces, keys and idempotency records: statements that must return no row."""

from __future__ import annotations

INVARIANTS: dict[str, str] = {
    "every organization has a workspace": """
        select o.id from organizations o
        where not exists (select from workspaces w where w.organization_id = o.id)""",
    "a key's hash is an HMAC-SHA256, never a token": """
        select id from api_keys where length(token_hash) <> 32""",
    "a key's hint does not tell the key": """
        select id from api_keys where length(token_hint) > 24 or position('…' in token_hint) = 0""",
    "a key has scopes": """
        select id from api_keys where cardinality(scopes) = 0""",
    "a public key has origins and starts browser calls alone, and a secret key has no origins": """
        select id from api_keys
        where (kind = 'public') <> (cardinality(origins) > 0)
           or kind = 'public' and scopes <> array['web_calls:write']""",
    "a key that is not new was made before it was used or revoked": """
        select id from api_keys where last_used_at < created_at or revoked_at < created_at""",
    "a committed idempotency record has its answer": """
        select idempotency_key from idempotency_records where status is null or body is null""",
    "only success is remembered for a key": """
        select idempotency_key from idempotency_records where status not between 200 and 299""",
}
