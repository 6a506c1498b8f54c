import JSON

/// What a dataset's definition says about records that do not fit it.
struct DatasetSettings: Sendable, Equatable {
    /// A field that is no column of the dataset.
    enum OnNewColumn: String, Sendable, CaseIterable {
        /// Becomes a column.
        case add
        /// Goes to `_extra`.
        case extra
        /// Quarantines the record.
        case quarantine
    }

    /// A value that is not of its column's type.
    enum OnTypeMismatch: String, Sendable, CaseIterable {
        case quarantine
        /// Becomes NULL.
        case null
        /// Goes to a column of its own, `column__type`.
        case variant
    }

    var onNewColumn: OnNewColumn
    var onTypeMismatch: OnTypeMismatch

    /// Reads a stored definition; what it leaves out is `add`, and `quarantine` where declared, `variant` where
    /// inferred.
    init(definition: JSONValue, declared: Bool) {
        onNewColumn = definition["on_new_column"]?.string.flatMap(OnNewColumn.init) ?? .add
        onTypeMismatch =
            definition["on_type_mismatch"]?.string.flatMap(OnTypeMismatch.init) ?? (declared ? .quarantine : .variant)
    }
}
