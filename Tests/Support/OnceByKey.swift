import Synchronization

/// Makes a value at most once for each key; whoever asks meanwhile waits for it. A failure is given to all who wait,
/// and the next one tries again.
actor OnceByKey<Value: Sendable> {
    private enum Entry {
        case making([CheckedContinuation<Value, any Error>])
        case made(Value)
    }

    private var entries: [String: Entry] = [:]

    func value(for key: String, make: @Sendable () async throws -> Value) async throws -> Value {
        switch entries[key] {
        case .made(let value): return value
        case .making(let waiting):
            return try await withCheckedThrowingContinuation { entries[key] = .making(waiting + [$0]) }
        case nil:
            entries[key] = .making([])
            do {
                let value = try await make()
                finish(key, .made(value), .success(value))
                return value
            } catch {
                finish(key, nil, .failure(error))
                throw error
            }
        }
    }

    private func finish(_ key: String, _ entry: Entry?, _ result: Result<Value, any Error>) {
        guard case .making(let waiting)? = entries[key] else { return }
        entries[key] = entry
        for continuation in waiting { continuation.resume(with: result) }
    }
}

/// Names that differ within the process.
enum UniqueName {
    private static let counter = Atomic(0)

    static func next() -> Int { counter.wrappingAdd(1, ordering: .relaxed).newValue }
}
