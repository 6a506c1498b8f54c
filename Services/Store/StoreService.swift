public import HTTPServer
public import Platform

import Lifecycle

/// The store service: loads chunks into datasets, and serves datasets over HTTP.
public struct StoreService: Sendable {
    public let platform: Platform
    public let server: HTTPServer
    private let services: [any Service]

    public init(_ configuration: StoreConfiguration) throws {
        platform = try Platform(service: "store", settings: configuration.service)
        server = platform.server(routes: [])
        services = [server]
    }

    /// Runs until a signal asks it to stop.
    public func run() async throws {
        try await platform.run(services)
    }
}
