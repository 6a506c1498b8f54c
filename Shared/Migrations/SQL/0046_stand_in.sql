-- Who stands in for an administrator's key that goes.
-- Locks: nothing but the function's own row for a moment. Services of the version before call it as they did.

-- Whether a key may administer its workspace for as long as the other one would, and longer than now: one that ends
-- sooner would leave the workspace without anybody. One with limits makes no keys: it stands in for its like alone.
create or replace function millrace.stands_in(in_key millrace.api_key, in_other millrace.api_key) returns bool
language sql stable as $$
    select 'admin' = any(in_key.scopes) and in_key.revoked_at is null and in_key.id <> in_other.id
        -- The comparison with one that does not end is null.
        and coalesce(
            in_key.expires_at is null or (in_key.expires_at > now() and in_key.expires_at >= in_other.expires_at),
            false)
        and (in_key.limits = '{}' or in_other.limits <> '{}')
$$;
