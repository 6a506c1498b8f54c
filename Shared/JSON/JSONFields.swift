/// A strict reader of one JSON object that collects every wrong, missing and unknown field instead of the first.
///
/// Readers return a placeholder for a faulty field, so a decoder reads straight through and ends in `finish()`, which
/// throws when anything was wrong: no placeholder gets past it. Nested readers report to the root's collection.
/// ```swift
/// let fields = JSONFields(body)
/// let name = fields.required("name", String.self)
/// let limit = fields.optional("limit", Int.self) ?? 100
/// try fields.finish()
/// ```
public final class JSONFields {
    /// The path of this object from the root.
    public let path: String
    private let object: JSONObject
    private var known: Set<String> = []
    private let faults: Faults
    /// False when the value is missing or no object: that fault is recorded already, so its fields report nothing.
    private let isReal: Bool
    private var children: [JSONFields] = []

    private final class Faults {
        var all: [FieldFault] = []
    }

    public init(_ value: JSONValue, path: String = "") {
        self.path = path
        faults = Faults()
        object = value.object ?? JSONObject()
        isReal = value.object != nil
        if !isReal { faults.all.append(FieldFault(path: path, message: "expected an object, found \(value.kind)")) }
    }

    private init(_ object: JSONObject?, path: String, faults: Faults) {
        self.path = path
        self.object = object ?? JSONObject()
        self.faults = faults
        isReal = object != nil
    }

    /// The keys of the object, in their order.
    public var keys: [String] { object.keys }

    /// True when the field is there and not null.
    public func has(_ name: String) -> Bool { object[name].map { !$0.isNull } ?? false }

    /// The field, whose absence or null is a fault.
    public func required<T: JSONFieldValue>(_ name: String, _ type: T.Type = T.self) -> T {
        known.insert(name)
        guard has(name) else {
            missing(name, T.expectation)
            return T.placeholder
        }
        return optional(name, type) ?? T.placeholder
    }

    /// The field, or nil when it is absent or null.
    public func optional<T: JSONFieldValue>(_ name: String, _ type: T.Type = T.self) -> T? {
        known.insert(name)
        guard let value = object[name], !value.isNull else { return nil }
        if let read = T.read(value) { return read }
        fault(name, "expected \(T.expectation), found \(value.kind)")
        return nil
    }

    /// A string that is one of an enumeration's raw values.
    public func required<T: RawRepresentable & CaseIterable>(_ name: String, oneOf type: T.Type) -> T
    where T.RawValue == String {
        known.insert(name)
        if !has(name) { missing(name, JSONFields.list(type)) }
        return optional(name, oneOf: type) ?? T.allCases[T.allCases.startIndex]
    }

    public func optional<T: RawRepresentable & CaseIterable>(_ name: String, oneOf type: T.Type) -> T?
    where T.RawValue == String {
        known.insert(name)
        guard let value = object[name], !value.isNull else { return nil }
        if let text = value.string, let read = T(rawValue: text) { return read }
        fault(name, "expected \(JSONFields.list(type)), found \(value.string.map { "\"\($0)\"" } ?? value.kind)")
        return nil
    }

    /// The reader of a nested object, whose absence is a fault.
    public func object(_ name: String) -> JSONFields {
        known.insert(name)
        if !has(name) { missing(name, "an object") }
        return optionalObject(name) ?? child(nil, path(to: name))
    }

    public func optionalObject(_ name: String) -> JSONFields? {
        known.insert(name)
        guard let value = object[name], !value.isNull else { return nil }
        return reader(of: value, path(to: name))
    }

    /// Readers of the objects in a nested array, whose absence is a fault.
    public func objects(_ name: String) -> [JSONFields] {
        known.insert(name)
        if !has(name) { missing(name, "an array of objects") }
        return optionalObjects(name) ?? []
    }

    public func optionalObjects(_ name: String) -> [JSONFields]? {
        known.insert(name)
        guard let value = object[name], !value.isNull else { return nil }
        guard let items = value.array else {
            fault(name, "expected an array of objects, found \(value.kind)")
            return nil
        }
        return items.enumerated().map { reader(of: $1, "\(path(to: name))[\($0)]") }
    }

    /// Says that a field's value, of the right type, is wrong. An empty name means the object itself.
    public func fault(_ name: String, _ message: String) {
        guard isReal else { return }
        faults.all.append(FieldFault(path: path(to: name), message: message))
    }

    /// Throws everything found wrong in the object and in those read from it, unknown fields included.
    public func finish() throws(FieldFaults) {
        reportUnknown()
        guard faults.all.isEmpty else { throw FieldFaults(faults.all) }
    }

    /// The path of a field, as messages name it.
    public func path(to name: String) -> String {
        if name.isEmpty { return path }
        let step = JSONFields.isPlain(name) ? name : "[\"\(name)\"]"
        return path.isEmpty || !JSONFields.isPlain(name) ? path + step : "\(path).\(step)"
    }
}

extension JSONFields {
    private func reportUnknown() {
        if isReal {
            for key in object.keys where !known.contains(key) {
                known.insert(key)
                fault(key, "unknown field")
            }
        }
        for child in children { child.reportUnknown() }
    }

    private func missing(_ name: String, _ expectation: String) {
        fault(name, object[name] == nil ? "missing; expected \(expectation)" : "expected \(expectation), found null")
    }

    private func reader(of value: JSONValue, _ path: String) -> JSONFields {
        if value.object == nil, isReal {
            faults.all.append(FieldFault(path: path, message: "expected an object, found \(value.kind)"))
        }
        return child(value.object, path)
    }

    private func child(_ object: JSONObject?, _ path: String) -> JSONFields {
        let child = JSONFields(object, path: path, faults: faults)
        children.append(child)
        return child
    }

    private static func list<T: RawRepresentable & CaseIterable>(_ type: T.Type) -> String where T.RawValue == String {
        "one of " + type.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
    }

    private static func isPlain(_ name: String) -> Bool {
        name.utf8.allSatisfy { $0 | 0x20 &- 0x61 < 26 || $0 &- 0x30 < 10 || $0 == UInt8(ascii: "_") || $0 >= 0x80 }
    }
}
