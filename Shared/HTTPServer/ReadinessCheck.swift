/// One thing a service needs before it can do its work, such as its database.
public struct ReadinessCheck: Sendable {
    public let name: String
    /// Returns when all is well; what it throws becomes the reason. It ends when its task is cancelled.
    public let check: @Sendable () async throws -> Void
    /// The check, giving what is worth to be known although the service can work.
    let note: @Sendable () async throws -> String?

    public init(_ name: String, _ check: @escaping @Sendable () async throws -> Void) {
        self.name = name
        self.check = check
        note = {
            try await check()
            return nil
        }
    }

    /// A check whose text, if it gives one, is shown in the answer of a service that is ready.
    public static func noting(
        _ name: String, _ note: @escaping @Sendable () async throws -> String?
    ) -> ReadinessCheck {
        ReadinessCheck(name: name, note: note)
    }

    private init(name: String, note: @escaping @Sendable () async throws -> String?) {
        self.name = name
        self.note = note
        check = { _ = try await note() }
    }
}
