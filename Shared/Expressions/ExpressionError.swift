/// Why an expression was refused when it was compiled.
///
/// Messages are PostgreSQL's wherever it has one.
public struct ExpressionError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, in one sentence.
    public let message: String
    /// Where: the 1-based column of the expression's text, counted in characters.
    public let position: Int

    public init(_ message: String, position: Int) {
        self.message = message
        self.position = position
    }

    public var description: String { "\(message) (at column \(position))" }
}
