public import Postgres

/// The administrator's key, which comes from the configuration.
public enum AdminKey {
    /// The name under which it is listed; keys that users make cannot have it.
    public static let name = "admin (configuration)"

    /// Makes the configured key the one administrator's key of a workspace: enters it if it is missing, and revokes
    /// an earlier one, so that changing the configuration rotates it. Running it again changes nothing. Gives the id of
    /// the one that was revoked.
    ///
    /// Errors: `AccessError` `.malformedKey`, `.unknownWorkspace`; `PostgresError`.
    @discardableResult
    public static func ensure(
        _ text: String, workspace: String = Principal.firstWorkspace, on connection: PostgresConnection
    ) async throws -> Int64? {
        guard let key = APIKey(text) else {
            throw AccessError(.malformedKey, "the administrator's key must be mr_ and 43 characters of base64url")
        }
        guard let revoked = try await connection.query(EnsureAdminKey(workspace: workspace, key: key)).first else {
            throw AccessError(.unknownWorkspace, "there is no workspace \(workspace)")
        }
        return revoked
    }
}

/// One statement, so that no moment is without a key: the same transaction ends the old and enters the new one.
struct EnsureAdminKey: PostgresStatement {
    static let sql = """
        with target as (
            select id from millrace.workspace where name = $1
        ), ended as (
            update millrace.api_key k set revoked_at = now() from target
            where k.workspace_id = target.id and k.name = $2 and k.hash <> $4 and k.revoked_at is null
            returning k.id
        )
        insert into millrace.api_key (workspace_id, name, prefix, hash, scopes)
        select target.id, $2, $3, $4, $5 from target
        on conflict (hash) do update set name = excluded.name, scopes = excluded.scopes, revoked_at = null,
            expires_at = null
        returning (select max(id) from ended)
        """

    let workspace: String
    let key: APIKey

    var parameters: [PostgresValue] {
        [
            .text(workspace), .text(AdminKey.name), .text(key.visiblePrefix), .bytes(key.hash.bytes),
            .textArray(ScopeSet.administrator.names),
        ]
    }

    /// The id of the one that was revoked.
    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64? { try row.optionalInt8(0) }
}
