private import CPostgres

/// libpq's connection parameters, parsed from a URL by libpq itself.
struct ConnectionSettings: Sendable {
    private(set) var values: [(name: String, value: String)]

    subscript(name: String) -> String? {
        values.last { $0.name == name }?.value
    }

    /// Parses a URL or a `key=value` text, and adds what libpq takes from its environment and defaults.
    init(url: String) throws(PostgresError) {
        values = []
        unsafe try add(PQconndefaults())
        var message: UnsafeMutablePointer<CChar>?
        let options = unsafe PQconninfoParse(url, &message)
        defer { unsafe PQfreemem(message) }
        guard let options = unsafe options else {
            // libpq's message quotes the text it could not read, which may hold the password.
            throw PostgresError(.configuration, "the database URL cannot be read", doing: "configure")
        }
        unsafe try add(options)
    }

    private mutating func add(_ options: UnsafeMutablePointer<PQconninfoOption>?) throws(PostgresError) {
        guard let options = unsafe options else {
            throw PostgresError(.configuration, "out of memory", doing: "configure")
        }
        defer { unsafe PQconninfoFree(options) }
        var option = unsafe options
        while let keyword = unsafe option.pointee.keyword {
            if let value = unsafe option.pointee.val {
                set(unsafe String(cString: keyword), unsafe String(cString: value))
            }
            unsafe option += 1
        }
    }

    mutating func set(_ name: String, _ value: String) {
        values.removeAll { $0.name == name }
        values.append((name, value))
    }

    mutating func remove(_ name: String) {
        values.removeAll { $0.name == name }
    }

    mutating func setDefault(_ name: String, _ value: String) {
        if self[name] == nil { values.append((name, value)) }
    }
}

/// Never shows a value: the password is among them, and may be in the options.
extension ConnectionSettings: CustomStringConvertible, CustomReflectable {
    var description: String { "<redacted>" }
    var customMirror: Mirror { Mirror(self, children: []) }
}
