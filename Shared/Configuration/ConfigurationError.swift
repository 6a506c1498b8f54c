/// Everything that is wrong with a configuration, so that it is mended in one go.
public struct ConfigurationError: Error, Equatable, CustomStringConvertible {
    public struct Fault: Sendable, Equatable {
        /// The variable's name.
        public let name: String
        /// What it must be and is not; never a secret's value.
        public let message: String
    }

    public let faults: [Fault]

    public var description: String {
        faults.map { "\($0.name) \($0.message)" }.joined(separator: "\n")
    }
}
