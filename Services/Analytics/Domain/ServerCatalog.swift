import Postgres
import Synchronization

/// What is known of the server's own catalog: the names its functions and types are called by, and the types that
/// answers have shown. Read when it is first needed, and kept.
final class ServerCatalog: Sendable {
    private struct Known {
        var guardian: QueryGuard?
        var types: [UInt32: ServerType] = [:]
    }

    /// The most types remembered; every dataset makes one.
    private static let maximumTypes = 10_000

    private let pool: PostgresPool
    private let known = Mutex(Known())

    init(pool: PostgresPool) {
        self.pool = pool
    }

    /// The guard for users' statements. Errors are the database's.
    func queryGuard() async throws -> QueryGuard {
        if let guardian = known.withLock({ $0.guardian }) { return guardian }
        let names = try await pool.withConnection { try await $0.query(ListCallableNames()) }.first ?? []
        let guardian = QueryGuard(callable: Set(names))
        known.withLock { $0.guardian = guardian }
        return guardian
    }

    /// The columns of an answer, with their types by name. Errors are the database's.
    func describe(_ columns: [PostgresColumn]) async throws -> [ResultColumn] {
        let missing = known.withLock { known in Set(columns.map(\.typeOID)).subtracting(known.types.keys) }
        if !missing.isEmpty {
            let statement = FindTypes(oids: missing.map(Int64.init))
            let found = try await pool.withConnection { try await $0.query(statement) }
            known.withLock { known in
                if known.types.count > Self.maximumTypes { known.types = [:] }
                for type in found { known.types[type.oid] = type }
            }
        }
        return known.withLock { known in columns.map { Self.describe($0, known.types) } }
    }

    private static func describe(_ column: PostgresColumn, _ types: [UInt32: ServerType]) -> ResultColumn {
        guard let type = types[column.typeOID] else {
            return ResultColumn(name: column.name, type: "unknown", shape: .text)
        }
        guard type.element != 0, let element = types[type.element] else {
            return ResultColumn(name: column.name, type: type.name, shape: ValueShape(builtIn: type.oid))
        }
        let isSimple = ValueShape.arrayElements.contains(element.oid)
        return ResultColumn(
            name: column.name, type: element.name + "[]",
            shape: isSimple ? .array(ValueShape(builtIn: element.oid)) : .text)
    }
}
