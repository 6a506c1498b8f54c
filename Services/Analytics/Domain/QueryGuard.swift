import JSON

/// Decides whether a user's SQL may be sent at all: one SELECT (VALUES, or WITH of SELECTs) that only reads the
/// workspace's own relations, through functions, types and syntax from a list.
///
/// What is not on the list is refused, so that syntax of a later PostgreSQL is refused until somebody has looked at it.
/// This is the first of several walls: the login role's grants, the read-only transaction and the watchdog stand
/// behind it.
struct QueryGuard: Sendable {
    /// Why a statement is refused, and where in its text (1-based, in characters).
    struct Refusal: Error, Equatable {
        enum Kind { case notAllowed, syntax, tooComplex, parameters }

        var kind = Kind.notAllowed
        var message: String
        var position: Int?
    }

    /// The most bytes of a statement. The parser's own recursion takes up to about 150 bytes of stack for each two
    /// bytes of text (`1+1+1…`), and a loop's thread has 8 MiB.
    static let maximumLength = 64 * 1024

    /// Names by which the server would call a function or a cast: `(value).name`, and also `alias.name`, is a call for
    /// them where there is no such column.
    private let callable: Set<String>

    /// `callable`: all functions of the server that can be called with one argument, in whatever schema, and the types
    /// whose input reads the catalog.
    init(callable: Set<String>) {
        self.callable = callable
    }

    /// Throws unless the statement may be sent with so many parameters; nil where they are counted later.
    func check(_ sql: String, parameters: Int? = nil) throws(Refusal) {
        guard sql.utf8.count <= Self.maximumLength else {
            throw Refusal(kind: .tooComplex, message: "the statement has more than \(Self.maximumLength) bytes")
        }
        if sql.utf8.contains(0) { throw Refusal(message: "the statement contains U+0000") }
        let tree: StatementTree
        do throws(StatementTree.SyntaxError) {
            tree = try StatementTree(parsing: sql)
        } catch {
            throw Refusal(
                kind: error.isTooDeep ? .tooComplex : .syntax, message: error.message, position: error.position)
        }
        guard tree.statements.count == 1, let statement = tree.statements[0]["stmt"] else {
            let count = tree.statements.count
            if count == 0 { throw Refusal(kind: .syntax, message: "there is no statement") }
            throw Refusal(message: "only one statement is allowed, not \(count)")
        }
        guard statement["SelectStmt"] != nil else {
            throw Refusal(message: "only SELECT, VALUES and WITH … SELECT are allowed")
        }
        var walk = TreeWalk(callable: callable, text: sql, parameters: parameters)
        try walk.visit(statement)
        if let parameters, walk.highest < parameters {
            let message = "\(parameters) parameters are given, of which the statement has no $\(walk.highest + 1)"
            throw Refusal(kind: .parameters, message: message)
        }
    }
}

/// One walk over a parse tree.
private struct TreeWalk {
    let callable: Set<String>
    let text: String
    let parameters: Int?
    /// The highest number of a parameter so far.
    var highest = 0
    /// Byte offset of the innermost node that has one.
    var location: Int?

    func refusal(_ message: String, _ kind: QueryGuard.Refusal.Kind = .notAllowed) -> QueryGuard.Refusal {
        guard let location, location >= 0, location <= text.utf8.count else {
            return QueryGuard.Refusal(kind: kind, message: message, position: nil)
        }
        let before = String(decoding: text.utf8.prefix(location), as: UTF8.self)
        return QueryGuard.Refusal(kind: kind, message: message, position: before.unicodeScalars.count + 1)
    }

    mutating func visit(_ value: JSONValue) throws(QueryGuard.Refusal) {
        switch value {
        case .array(let items):
            for item in items { try visit(item) }
        case .object(let object):
            for member in object.members { try visit(member.key, member.value) }
        default:
            break
        }
    }

    private mutating func visit(_ key: String, _ value: JSONValue) throws(QueryGuard.Refusal) {
        let outer = location
        defer { location = outer }
        if let own = value["location"]?.int { location = own }
        if key.first?.isUppercase == true {
            guard QueryAllowList.nodes.contains(key) else {
                throw refusal("\(QueryAllowList.describe(node: key)) is not allowed")
            }
            try check(node: key, value)
        } else {
            try check(field: key, value)
        }
        try visit(value)
    }

    private mutating func check(node: String, _ value: JSONValue) throws(QueryGuard.Refusal) {
        switch node {
        case "FuncCall":
            try checkFunction(value)
        case "ParamRef":
            try checkParameter(value["number"]?.int ?? 0)
        case "RangeVar":
            try checkRelation(value)
        case "TypeName":
            try checkType(value)
        case "SQLValueFunction":
            guard QueryAllowList.valueFunctions.contains(value["op"]?.string ?? "") else {
                throw refusal("this function is not allowed")
            }
        case "A_Expr":
            try checkQualifiers(of: value["name"], what: "operator")
        case "A_Indirection":
            try checkSelection(value["indirection"]?.array ?? [])
        case "ColumnRef":
            try checkSelection(value["fields"]?.array?.dropFirst() ?? [])
        case "SubLink":
            try checkQualifiers(of: value["operName"], what: "operator")
        case "SortBy":
            try checkQualifiers(of: value["useOp"], what: "operator")
        default:
            break
        }
    }

    private func check(field: String, _ value: JSONValue) throws(QueryGuard.Refusal) {
        switch field {
        case "intoClause": throw refusal("SELECT INTO is not allowed")
        case "lockingClause": throw refusal("FOR UPDATE and FOR SHARE are not allowed")
        case "typeName": try checkType(value)
        case "relation": try checkRelation(value)
        default: break
        }
    }

    private func checkFunction(_ call: JSONValue) throws(QueryGuard.Refusal) {
        try checkQualifiers(of: call["funcname"], what: "function")
        let name = (call["funcname"]?.array ?? []).compactMap(Self.text).last ?? ""
        guard QueryAllowList.functions.contains(name) else {
            throw refusal("the function \(name)() is not allowed")
        }
    }

    private mutating func checkParameter(_ number: Int) throws(QueryGuard.Refusal) {
        highest = max(highest, number)
        guard let parameters, number < 1 || number > parameters else { return }
        throw refusal("there is no parameter $\(number): \(parameters) are given", .parameters)
    }

    /// A field that is selected may turn out to be a function that is called with what stands before the dot: with the
    /// row of a table, or with the value of a function in FROM.
    private func checkSelection(_ fields: some Sequence<JSONValue>) throws(QueryGuard.Refusal) {
        for name in fields.lazy.compactMap(Self.text)
        where callable.contains(name) && !QueryAllowList.functions.contains(name)
            && !QueryAllowList.fields.contains(name)
        {
            throw refusal("the field or function \"\(name)\" is not allowed here; rename the column by a subquery")
        }
    }

    private func checkRelation(_ relation: JSONValue) throws(QueryGuard.Refusal) {
        let name = relation["relname"]?.string ?? ""
        if let schema = relation["schemaname"]?.string {
            throw refusal("name the dataset without a schema: \"\(name)\", not \"\(schema).\(name)\"")
        }
        if relation["catalogname"] != nil { throw refusal("name the dataset without a database") }
        // pg_catalog is searched first, whatever the search path says.
        if name.hasPrefix("pg_") { throw refusal("the relation \"\(name)\" is not allowed") }
    }

    private func checkType(_ type: JSONValue) throws(QueryGuard.Refusal) {
        try checkQualifiers(of: type["names"], what: "type")
        let name = (type["names"]?.array ?? []).compactMap(Self.text).last ?? ""
        guard QueryAllowList.types.contains(name), type["pct_type"]?.bool != true, type["setof"]?.bool != true else {
            throw refusal("the type \"\(name)\" is not allowed")
        }
    }

    private func checkQualifiers(of names: JSONValue?, what: String) throws(QueryGuard.Refusal) {
        let parts = (names?.array ?? []).compactMap(Self.text)
        guard parts.count <= 2, parts.count < 2 || parts[0] == "pg_catalog" else {
            throw refusal("the \(what) \"\(parts.joined(separator: "."))\" is not allowed: name it without a schema")
        }
    }

    private static func text(_ node: JSONValue) -> String? { node["String"]?["sval"]?.string }
}
