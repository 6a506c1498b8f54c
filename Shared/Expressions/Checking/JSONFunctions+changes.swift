/// Operators and functions that make jsonb of jsonb.
extension JSONFunctions {
    static let removals: [Signature] = [
        Signature(
            .jsonb, .text, result: .jsonb,
            Lift.text(canFault: true, type: .jsonb) { (json: Bytes, key: Bytes, output: inout [UInt8]) throws(Fault) in
                try JSONBValue(json).removing(key).write(to: &output)
            }),
        Signature(
            .jsonb, .int8, result: .jsonb,
            Lift.text(canFault: true, type: .jsonb) {
                (json: Bytes, place: Int64, output: inout [UInt8]) throws(Fault) in
                try JSONBValue(json).removing(at: place).write(to: &output)
            }
        ).int4(1),
        Signature(
            .jsonb, .textArray, result: .jsonb,
            Lift.text(canFault: true, type: .jsonb) { (json: Bytes, keys: Bytes, output: inout [UInt8]) throws(Fault) in
                var value = try JSONBValue(json)
                guard value.isContainer else { throw .invalid("cannot delete from scalar") }
                for case let key? in TextArray.Items(keys) { value = try value.removing(key) }
                value.write(to: &output)
            }),
    ]

    static let changes: [String: [Signature]] = [
        "jsonb_strip_nulls": [
            Signature(
                .jsonb, result: .jsonb,
                Lift.text(canFault: true, type: .jsonb) { (json: Bytes, output: inout [UInt8]) throws(Fault) in
                    try JSONBValue(json).withoutNulls.write(to: &output)
                })
        ],
        "jsonb_pretty": [
            Signature(
                .jsonb, result: .text,
                Lift.text(canFault: true) { (json: Bytes, output: inout [UInt8]) throws(Fault) in
                    try JSONBValue(json).writeIndented(to: &output)
                })
        ],
        "jsonb_concat": [Signature(.jsonb, .jsonb, result: .jsonb, concatenation)],
        "jsonb_set": setters { value, flag in .set(value, create: flag ?? true) },
        "jsonb_insert": setters { value, flag in .insert(value, after: flag ?? false) },
    ]

    /// jsonb `||` jsonb.
    static let concatenation = Lift.text(canFault: true, type: .jsonb) {
        (a: Bytes, b: Bytes, output: inout [UInt8]) throws(Fault) in
        JSONBValue.joined(try JSONBValue(a), try JSONBValue(b)).write(to: &output)
    }

    static func cut(_ json: Bytes, _ path: Bytes, _ output: inout [UInt8]) throws(Fault) {
        try JSONBValue(json).changed(Array(TextArray.Items(path)), .delete).write(to: &output)
    }

    /// Over a value, a path, another value and, perhaps, a flag.
    private static func setters(
        _ change: @escaping @Sendable (JSONBValue, Bool?) -> JSONBValue.Change
    ) -> [Signature] {
        let kernel = Kernel(canFault: true) { arguments, frame, evaluation in
            let buffers = arguments.prefix(3).map { BytesBuffer($0.values) }
            let flags = arguments.count > 3 ? BoolBuffer(arguments[3].values) : nil
            let masks = arguments.map(\.mask)
            return Lift.build(.jsonb, arguments, frame, &evaluation) { (index, output) throws(Fault) in
                let path = Array(TextArray.Items(buffers[1][index & masks[1]]))
                let value = try JSONBValue(buffers[2][index & masks[2]])
                let flag = flags.map { $0[index & masks[3]] }
                try JSONBValue(buffers[0][index & masks[0]]).changed(path, change(value, flag)).write(to: &output)
            }
        }
        return [
            Signature(.jsonb, .textArray, .jsonb, result: .jsonb, kernel),
            Signature(.jsonb, .textArray, .jsonb, .bool, result: .jsonb, kernel),
        ]
    }
}
