/// Operators of jsonb, and functions that look at it.
enum JSONFunctions {
    static let operators: [String: [Signature]] = [
        "->": [
            Signature(
                .jsonb, .text, result: .jsonb,
                Lift.two(.jsonb) { (json: Bytes, name: Bytes) in
                    JSONBText.field(json, name)
                }),
            Signature(
                .jsonb, .int8, result: .jsonb,
                Lift.two(.jsonb) { (json: Bytes, number: Int64) in
                    JSONBText.item(json, number)
                }
            ).int4(1),
        ],
        "->>": [
            Signature(.jsonb, .text, result: .text, text { (json: Bytes, name: Bytes) in JSONBText.field(json, name) }),
            Signature(
                .jsonb, .int8, result: .text,
                text { (json: Bytes, number: Int64) in
                    JSONBText.item(json, number)
                }
            ).int4(1),
        ],
        "#>": [Signature(.jsonb, .textArray, result: .jsonb, atPath)],
        "#>>": [Signature(.jsonb, .textArray, result: .text, textAtPath)],
        "?": [
            Signature(
                .jsonb, .text, result: .bool,
                Lift.two(.bool) { (json: Bytes, name: Bytes) in
                    JSONBText.hasKey(json, name)
                })
        ],
        "?|": [
            Signature(
                .jsonb, .textArray, result: .bool,
                Lift.two(.bool) { (json: Bytes, names: Bytes) in
                    TextArray.Items(names).contains { $0.map { JSONBText.hasKey(json, $0) } ?? false }
                })
        ],
        "?&": [
            Signature(
                .jsonb, .textArray, result: .bool,
                Lift.two(.bool) { (json: Bytes, names: Bytes) in
                    TextArray.Items(names).allSatisfy { $0.map { JSONBText.hasKey(json, $0) } ?? true }
                })
        ],
        "@>": [
            Signature(
                .jsonb, .jsonb, result: .bool,
                Lift.two(.bool, canFault: true) { (a: Bytes, b: Bytes) throws(Fault) in
                    JSONBValue.contains(try JSONBValue(a), try JSONBValue(b))
                })
        ],
        "<@": [
            Signature(
                .jsonb, .jsonb, result: .bool,
                Lift.two(.bool, canFault: true) { (a: Bytes, b: Bytes) throws(Fault) in
                    JSONBValue.contains(try JSONBValue(b), try JSONBValue(a))
                })
        ],
        "-": removals,
        "#-": [Signature(.jsonb, .textArray, result: .jsonb, Lift.text(canFault: true, type: .jsonb, cut))],
    ]

    static let all: [String: [Signature]] = [
        "jsonb_typeof": [
            Signature(
                .jsonb, result: .text,
                Lift.text { (json: Bytes, output: inout [UInt8]) in
                    output.append(contentsOf: JSONBText.kind(json).rawValue.utf8)
                })
        ],
        "jsonb_array_length": [
            Signature(
                .jsonb, result: .int8,
                Lift.one(.int8, canFault: true) { (json: Bytes) throws(Fault) in
                    let kind = JSONBText.kind(json)
                    guard kind == .array else {
                        throw .invalid("cannot get array length of \(kind == .object ? "a non-array" : "a scalar")")
                    }
                    return JSONBText.itemCount(json)
                })
        ],
        "jsonb_exists": operators["?"] ?? [], "jsonb_contains": operators["@>"] ?? [],
    ]

    static let atPath = Lift.two(.jsonb) { (json: Bytes, path: Bytes) in JSONBText.at(path, of: json) }
    static let textAtPath = text { (json: Bytes, path: Bytes) in JSONBText.at(path, of: json) }

    /// The value found, as text: a string without its quotes, null as NULL.
    private static func text<B: SQLValue>(_ find: @escaping @Sendable (Bytes, B) -> Bytes?) -> Kernel {
        Kernel(canFault: false) { arguments, frame, evaluation in
            let json = BytesBuffer(arguments[0].values)
            let keys = B.Buffer(arguments[1].values)
            let (maskA, maskB) = (arguments[0].mask, arguments[1].mask)
            var absent: [Int] = []
            var result = Lift.build(.text, arguments, frame, &evaluation) { (index, output) throws(Fault) in
                guard let value = find(json[index & maskA], keys[index & maskB]) else { return absent.append(index) }
                switch JSONBText.kind(value) {
                case .null: absent.append(index)
                case .string: JSONBText.unescape(ValueInput.trimmed(value), into: &output)
                default: JSONBText.write(value, to: &output)
                }
            }
            for index in absent { result.valid[index] = 0 }
            return result
        }
    }
}

extension JSONBText {
    /// Whether a string is a key of an object, or an item of an array, or the value itself.
    static func hasKey(_ json: Bytes, _ name: Bytes) -> Bool {
        func says(_ value: Bytes) -> Bool {
            guard kind(value) == .string else { return false }
            var decoded: [UInt8] = []
            unescape(ValueInput.trimmed(value), into: &decoded)
            return decoded.elementsEqual(name)
        }
        switch kind(json) {
        case .object: return field(json, name) != nil
        case .array: return (0..<itemCount(json)).contains { item(json, $0).map(says) ?? false }
        default: return says(json)
        }
    }

    /// What lies at a path of keys and item numbers; nil if nothing does, or a step is NULL.
    static func at(_ path: Bytes, of json: Bytes) -> Bytes? {
        guard TextArray.Items(path).allSatisfy({ $0 != nil }) else { return nil }
        var value = json
        for case let step? in TextArray.Items(path) {
            let found: Bytes? =
                switch kind(value) {
                case .object: field(value, step)
                case .array: number(step).flatMap { item(value, Int64($0)) }
                default: nil
                }
            guard let found else { return nil }
            value = found
        }
        return value
    }

    /// An item's number in a path, as `strtol` reads it.
    static func number(_ step: Bytes) -> Int? {
        var rest = step.drop(while: ValueInput.isSpace)
        var isNegative = false
        if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            rest = rest.dropFirst()
        }
        guard !rest.isEmpty, rest.allSatisfy({ $0 &- 0x30 < 10 }) else { return nil }
        var value = 0
        for digit in rest {
            value = value * 10 + Int(digit &- 0x30)
            if value > 1 << 31 { return nil }
        }
        return Int32(exactly: isNegative ? -value : value).map(Int.init)
    }
}
