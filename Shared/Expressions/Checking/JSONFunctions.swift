/// Operators and functions of jsonb.
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
                }),
        ],
        "->>": [
            Signature(.jsonb, .text, result: .text, text { (json: Bytes, name: Bytes) in JSONBText.field(json, name) }),
            Signature(
                .jsonb, .int8, result: .text,
                text { (json: Bytes, number: Int64) in
                    JSONBText.item(json, number)
                }),
        ],
        "?": [
            Signature(
                .jsonb, .text, result: .bool,
                Lift.two(.bool) { (json: Bytes, name: Bytes) in
                    JSONBText.hasKey(json, name)
                })
        ],
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
    ]

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
                case .string: JSONBText.unescape(value, into: &output)
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
}
