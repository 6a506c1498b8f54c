import Access
import HTTP
import JSON
import Postgres

/// Keys in the catalog: made, listed, rotated, revoked. What a key may not do, it cannot have done by a key it makes.
struct KeyStore: Sendable {
    /// The most keys of a workspace that can be used; several requests at a time may go slightly beyond.
    static let maximumCount: Int64 = 1000

    typealias Repeated = (key: String, fingerprint: [UInt8])

    let pool: PostgresPool

    /// A key that has just been made, with its text; without it where an earlier request made it.
    struct Made: Sendable {
        var listed: ListedKey
        var key: APIKey?
    }

    /// A workspace's keys; throws `not_found` for a workspace that the principal has nothing to do with.
    func list(
        _ principal: Principal, workspace: String?, after: Int64, state: KeyRecord.State?, limit: Int32
    ) async throws -> [ListedKey] {
        try await pool.withConnection { connection in
            let id = try await Self.workspace(workspace, principal, connection).id
            return try await connection.query(ListKeys(workspaceID: id, after: after, state: state, limit: limit))
        }
    }

    /// Throws `not_found`.
    func find(_ id: Int64, _ principal: Principal) async throws -> ListedKey {
        let statement = FindListedKey(id: id, workspaceID: principal.keysWorkspace)
        guard let found = try await pool.withConnection({ try await $0.query(statement).first }) else {
            throw Self.missing(id)
        }
        return found
    }

    /// Makes a key with no more than the principal has: its scopes, its time, its workspace. Throws `forbidden` for
    /// what goes beyond.
    func make(_ asked: KeyRequest, _ principal: Principal, repeated: Repeated?) async throws -> Made {
        let beyond = principal.scopes.exceeding(asked.scopes)
        guard beyond.isEmpty else {
            throw Problem(.forbidden, "the key itself has not \(beyond.joined(separator: ", "))")
        }
        guard principal.limits == .none else {
            throw Problem(.forbidden, "a key with limits makes no keys: each would have the limits again")
        }
        let key = try APIKey.generate()
        return try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = '2s'")
            let workspace = try await Self.workspace(asked.workspace, principal, connection)
            // Before anything that may have changed since: who repeats a request asks for nothing new.
            if let made = try await Self.find(repeated, workspace.id, connection) { return made }
            try await Self.leaveRoom(in: workspace.id, connection)
            let maker = try await Self.maker(principal, connection)
            let new = NewKey(
                workspaceID: workspace.id, name: asked.name, scopes: asked.scopes, limits: asked.limits,
                expiresAt: try Self.expiry(asked.lifetime, maker), madeBy: principal.keyID, request: repeated)
            return try await Self.insert(key, as: new, connection)
        }
    }

    /// Makes another key in a key's place, which runs out after `overlap`. `check` sees the old one's tag.
    func rotate(
        _ id: Int64, overlap: Duration, _ principal: Principal, repeated: Repeated?,
        check: @escaping @Sendable (EntityTag?) throws -> Void
    ) async throws -> Made {
        let key = try APIKey.generate()
        return try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = '2s'")
            let old = try await Self.lock(id, principal, connection)
            if let made = try await Self.find(repeated, old.workspaceID, connection) { return made }
            try check(EntityTag(version: old.record.version))
            let maker = try await Self.maker(principal, connection)
            guard old.record.state == .active else {
                throw Problem(.conflict, "the key is \(old.record.state.rawValue) already")
            }
            // Each new one would have the limits once more, the day's quota among them.
            guard principal.limits == .none else {
                throw Problem(.forbidden, "a key with limits rotates none: one without them has to")
            }
            try await Self.leaveRoom(in: old.workspaceID, connection)
            if let own = maker.key.expiresAt, old.record.expiresAt.map({ $0 > own }) ?? true {
                throw Problem(.forbidden, "the key would be valid for longer than the one that asks")
            }
            let new = NewKey(
                workspaceID: old.workspaceID, name: old.record.name, scopes: old.record.scopes,
                limits: old.record.limits, expiresAt: old.record.expiresAt, replaces: id, madeBy: principal.keyID,
                request: repeated)
            let made = try await Self.insert(key, as: new, connection)
            try await connection.execute(RetireKey(id: id, grace: overlap))
            return made
        }
    }

    private static func leaveRoom(in workspaceID: Int64, _ connection: PostgresConnection) async throws {
        guard try await connection.query(CountKeys(workspaceID: workspaceID)).first ?? 0 < maximumCount else {
            throw Problem(.conflict, "the workspace has \(maximumCount) keys already")
        }
    }

    /// Ends a key, if it has not ended. Throws `last_admin_key` for the last one that administers its workspace.
    func revoke(
        _ id: Int64, _ principal: Principal, check: @escaping @Sendable (EntityTag?) throws -> Void
    ) async throws {
        try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = '2s'")
            let old = try await Self.lock(id, principal, connection)
            try check(EntityTag(version: old.record.version))
            if old.record.state == .active, old.record.scopes.contains("admin"),
                try await connection.query(FindStandIn(id: id)).first != true
            {
                throw Problem(
                    .lastAdminKey,
                    "no other key administers the workspace \(old.workspace) for as long: make one before")
            }
            try await connection.execute(RevokeKey(id: id))
        }
    }
}

extension KeyStore {
    /// Locks the key's workspace, so that of two administrators' keys the second to go sees that the first has gone,
    /// and the key. Throws `forbidden` unless the principal has all that the key has.
    private static func lock(
        _ id: Int64, _ principal: Principal, _ connection: PostgresConnection
    ) async throws -> ListedKey {
        let place = FindListedKey(id: id, workspaceID: principal.keysWorkspace)
        guard let found = try await connection.query(place).first else { throw missing(id) }
        _ = try await connection.query(LockWorkspaceKeys(id: found.workspaceID))
        guard let key = try await connection.query(LockKey(id: id, workspaceID: found.workspaceID)).first else {
            throw missing(id)
        }
        guard key.record.name != AdminKey.name else {
            throw Problem(.conflict, "the key comes from the configuration: change MILLRACE_ADMIN_KEY and migrate")
        }
        let beyond = principal.scopes.exceeding(key.record.scopes)
        guard beyond.isEmpty else {
            throw Problem(.forbidden, "the key itself has not \(beyond.joined(separator: ", "))")
        }
        return key
    }

    /// The key that asks, which nobody revokes meanwhile.
    private static func maker(
        _ principal: Principal, _ connection: PostgresConnection
    ) async throws -> (key: KeyRecord, now: Int64) {
        guard principal.subject == nil else { throw Problem(.forbidden, "a token makes no keys: use a key") }
        guard let maker = try await connection.query(HoldKey(id: principal.keyID)).first else {
            throw Problem(.unauthorized, "the key is not valid any more")
        }
        return maker
    }

    /// When the key ends that is made: after its lifetime, and not after the one that makes it.
    private static func expiry(_ lifetime: Duration?, _ maker: (key: KeyRecord, now: Int64)) throws(Problem) -> Int64? {
        guard let lifetime else { return maker.key.expiresAt }
        let (seconds, attoseconds) = lifetime.components
        let expiry = maker.now + seconds * 1_000_000 + attoseconds / 1_000_000_000_000
        if let own = maker.key.expiresAt, expiry > own {
            throw Problem(.forbidden, "the key would be valid for longer than the one that asks")
        }
        return expiry
    }

    private static func insert(
        _ key: APIKey, as new: NewKey, _ connection: PostgresConnection
    ) async throws -> Made {
        if let record = try await connection.query(InsertKey(key, as: new)).first {
            guard let listed = try await connection.query(FindListedKey(id: record.id, workspaceID: nil)).first else {
                throw Problem(.internalError, "the key was not stored")
            }
            return Made(listed: listed, key: key)
        }
        guard let made = try await find(new.request, new.workspaceID, connection) else {
            throw Problem(.conflict, "the same request was made at the same moment; repeat it", retryAfter: .seconds(1))
        }
        return made
    }

    /// What an earlier request with the same `Idempotency-Key` has made, if there was one.
    private static func find(
        _ repeated: Repeated?, _ workspaceID: Int64, _ connection: PostgresConnection
    ) async throws -> Made? {
        guard let repeated,
            let found = try await connection.query(
                FindKeyOfRequest(workspaceID: workspaceID, request: repeated.key)
            ).first
        else { return nil }
        guard found.fingerprint == repeated.fingerprint else {
            throw Problem(.idempotencyMismatch, "the Idempotency-Key was used for another request")
        }
        return try await connection.query(FindListedKey(id: found.key.id, workspaceID: workspaceID)).first
            .map { Made(listed: $0, key: nil) }
    }

    /// The principal's own workspace, or another one that it may see to.
    private static func workspace(
        _ name: String?, _ principal: Principal, _ connection: PostgresConnection
    ) async throws -> Workspace {
        let name = name ?? principal.workspace
        guard name == principal.workspace || principal.administersPlatform,
            let found = try await connection.query(FindWorkspace(name: name)).first, found.deletedAt == nil
        else { throw Problem(.notFound, "there is no workspace \(name.prefix(64))") }
        return found
    }

    private static func missing(_ id: Int64) -> Problem { Problem(.notFound, "there is no key \(id)") }
}

extension Principal {
    /// The workspace whose keys it sees; nil for all.
    fileprivate var keysWorkspace: Int64? { administersPlatform ? nil : workspaceID }
}
