/// One thing a service needs before it can do its work, such as its database.
public struct ReadinessCheck: Sendable {
    public let name: String
    /// Returns when all is well; what it throws becomes the reason. It must answer quickly.
    public let check: @Sendable () async throws -> Void

    public init(_ name: String, _ check: @escaping @Sendable () async throws -> Void) {
        self.name = name
        self.check = check
    }
}
