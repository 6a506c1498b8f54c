public import Observability

/// What all spans of a process are said to come from.
public struct TracedService: Sendable {
    let attributes: [(key: String, value: LogValue)]

    /// - Parameters:
    ///   - name: of the service.
    ///   - instance: tells the processes of a service apart.
    public init(name: String, version: String, instance: String = UniqueNumber.nextText()) {
        attributes = [
            ("service.name", .string(name)), ("service.version", .string(version)),
            ("service.instance.id", .string(instance)),
        ]
    }
}
