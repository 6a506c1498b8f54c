public import Configuration
public import HTTPServer
public import Platform
public import Queue

/// What the transform service reads from its environment, besides ``ServiceSettings``, ``HTTPLimits``,
/// ``EdgePolicy``, ``TLSFiles``, ``AccessPolicy`` and ``LeaderConfiguration``.
///
/// | variable | default | |
/// |---|---|---|
/// | `MILLRACE_TRANSFORM_SLOTS` | 2 | groups of batches worked on at a time |
public struct TransformConfiguration: Sendable {
    /// Where the service listens unless it is told otherwise.
    public static let defaultPort: UInt16 = 8082

    public var service: ServiceSettings
    public var http: HTTPLimits
    public var edge: EdgePolicy
    public var tls: TLSFiles?
    public var access: AccessPolicy
    public var slots: Int
    public var leader: LeaderConfiguration

    public init(_ environment: Environment) throws(ConfigurationError) {
        var settings = Settings(environment)
        service = ServiceSettings(
            service: "transform", defaultPort: TransformConfiguration.defaultPort, from: &settings)
        http = HTTPLimits(from: &settings)
        edge = EdgePolicy(from: &settings)
        tls = TLSFiles(from: &settings)
        access = AccessPolicy(from: &settings)
        slots = settings.integer("MILLRACE_TRANSFORM_SLOTS", default: 2, in: 1...256)
        leader = LeaderConfiguration(from: &settings)
        try settings.finish()
    }
}
