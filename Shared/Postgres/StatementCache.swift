/// The statements a connection has prepared, by statement type and by the types of their parameters.
///
/// The server fixes a prepared statement's parameter types when it parses it, so one statement whose parameters come
/// with other types (NULL first, a number later) is prepared again under another name.
struct StatementCache {
    struct Entry {
        let name: String
        let types: [UInt32]
        var lastUse: UInt64
    }

    private var entries: [ObjectIdentifier: [Entry]] = [:]
    private var count = 0
    private var clock: UInt64 = 0
    private var nextName: UInt64 = 0
    private let limit: Int
    /// Names that the server still holds and nobody will use again.
    private(set) var discarded: [String] = []

    init(limit: Int) {
        self.limit = max(1, limit)
    }

    /// The name under which a statement is prepared for these parameters.
    mutating func find(_ key: ObjectIdentifier, _ parameters: [PostgresValue]) -> String? {
        guard let variants = entries[key] else { return nil }
        guard let index = variants.firstIndex(where: { $0.fits(parameters) }) else { return nil }
        clock += 1
        entries[key]?[index].lastUse = clock
        return variants[index].name
    }

    /// Takes a name for a statement that is about to be prepared. May push out the one unused for longest.
    mutating func add(_ key: ObjectIdentifier, _ parameters: [PostgresValue]) -> Entry {
        if count >= limit { discardOldest() }
        clock += 1
        nextName += 1
        let entry = Entry(name: "m\(nextName)", types: parameters.map(\.typeOID), lastUse: clock)
        entries[key, default: []].append(entry)
        count += 1
        return entry
    }

    /// Forgets a statement. `existing`: the server has it, so that it must be told.
    mutating func remove(_ name: String, of key: ObjectIdentifier, existing: Bool) {
        guard let index = entries[key]?.firstIndex(where: { $0.name == name }) else { return }
        entries[key]?.remove(at: index)
        count -= 1
        if existing { discarded.append(name) }
    }

    /// Takes the names to deallocate.
    mutating func takeDiscarded() -> [String] {
        defer { discarded = [] }
        return discarded
    }

    private mutating func discardOldest() {
        var oldest: (key: ObjectIdentifier, entry: Entry)?
        for (key, variants) in entries {
            for entry in variants where entry.lastUse < oldest?.entry.lastUse ?? .max { oldest = (key, entry) }
        }
        if let oldest { remove(oldest.entry.name, of: oldest.key, existing: true) }
    }
}

extension StatementCache.Entry {
    /// NULL fits any type; text of an undecided type fits only where the server decided.
    func fits(_ parameters: [PostgresValue]) -> Bool {
        guard parameters.count == types.count else { return false }
        for index in types.indices where types[index] != parameters[index].typeOID {
            guard case .null = parameters[index] else { return false }
        }
        return true
    }
}
