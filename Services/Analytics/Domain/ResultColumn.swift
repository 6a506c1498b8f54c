/// A column of an answer.
struct ResultColumn: Sendable, Equatable {
    var name: String
    /// PostgreSQL's name of the type; an array's is its elements' with `[]`.
    var type: String
    var shape: ValueShape
}
