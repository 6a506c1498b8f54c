/// How rows meet those with their key that a table has.
enum LoadMode: String, Sendable {
    /// They are added; one whose key is there is refused.
    case append
    /// The latest of a key stays.
    case upsert
    /// The earliest of a key stays.
    case ignore
}
