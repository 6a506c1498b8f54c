/// One thing wrong with a value, and the path to it, such as `steps[2].cast.status`.
public struct FieldFault: Error, Sendable, Hashable, CustomStringConvertible {
    /// Keys and indices from the root; empty for the root itself.
    public let path: String
    public let message: String

    public init(path: String, message: String) {
        self.path = path
        self.message = message
    }

    public var description: String { path.isEmpty ? message : "\(path): \(message)" }
}

/// Everything wrong with a value, in the order in which its fields were read; never empty.
public struct FieldFaults: Error, Sendable, Hashable {
    public let faults: [FieldFault]

    public init(_ faults: [FieldFault]) {
        self.faults = faults
    }
}
