/// A partition that leaves its parent for good, and how far it is.
public struct LeavingPartition: Sendable, Equatable {
    public enum Stage: String, Sendable {
        /// Part of its parent still.
        case attached
        /// Its detaching was interrupted: queries do not see it any more, and it has to be finalized.
        case pending
        /// A table by itself.
        case detached
    }

    /// Where both the parent and the partition are.
    public var schema: String
    public var parent: String
    public var name: String
    public var stage: Stage

    public init(schema: String, parent: String, name: String, stage: Stage) {
        self.schema = schema
        self.parent = parent
        self.name = name
        self.stage = stage
    }
}
