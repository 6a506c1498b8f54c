private import CPgQuery
import JSON

/// The parse tree of a SQL text, from PostgreSQL's own parser (libpg_query), as JSON.
///
/// An object's member whose key begins with a capital letter is a node, named by that key; other members are the
/// fields of the node they stand in.
struct StatementTree {
    /// The text is not SQL.
    struct SyntaxError: Error, Equatable {
        var message: String
        /// 1-based, in characters.
        var position: Int?
        /// It may be SQL, but of more levels than are looked at.
        var isTooDeep = false
    }

    /// The most levels of the tree. A SQL expression takes about four levels for each of its own.
    static let depthLimit = 1_000

    let statements: [JSONValue]

    /// Parses a text without NUL. C errors and memory stay in the library's own context, freed before this returns.
    init(parsing sql: String) throws(SyntaxError) {
        let result = unsafe pg_query_parse(sql)
        defer { unsafe pg_query_free_parse_result(result) }
        if let error = unsafe result.error {
            let message = unsafe error.pointee.message.map { unsafe String(cString: $0) } ?? "syntax error"
            let position = unsafe Int(error.pointee.cursorpos)
            throw SyntaxError(message: message, position: position > 0 ? position : nil)
        }
        guard let text = unsafe result.parse_tree else { throw SyntaxError(message: "the text was not parsed") }
        let bytes = unsafe Array(String(cString: text).utf8)
        do throws(JSONError) {
            let tree = try JSONValue.parse(bytes, depthLimit: Self.depthLimit)
            statements = tree["stmts"]?.array ?? []
        } catch {
            throw SyntaxError(message: "the statement is nested too deeply", isTooDeep: true)
        }
    }
}
