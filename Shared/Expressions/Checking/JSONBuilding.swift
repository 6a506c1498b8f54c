/// `jsonb_build_array`, `jsonb_build_object` and `to_jsonb`.
enum JSONBuilding {
    /// Over values of the given types.
    static func kernel(_ call: SpecialCall, _ types: [SQLType]) -> Kernel {
        Kernel(canFault: true) { arguments, frame, evaluation in
            let writers = zip(types, arguments).map { Writer($0, $1) }
            let isObject = call == .jsonbBuildObject
            // Only to_jsonb is NULL of NULL.
            return Lift.build(
                .jsonb, arguments, frame, &evaluation, required: call == .toJSONB ? arguments : []
            ) { (index, output) throws(Fault) in
                if call == .toJSONB { return try writers[0].write(index, to: &output) }
                if isObject { return try object(writers, index, to: &output) }
                output.append(UInt8(ascii: "["))
                for (place, writer) in writers.enumerated() {
                    if place > 0 { output.append(contentsOf: ", ".utf8) }
                    try writer.write(index, to: &output)
                }
                output.append(UInt8(ascii: "]"))
            }
        }
    }

    /// Keys may repeat, and then the last counts: readers of jsonb's text keep to that.
    private static func object(_ writers: [Writer], _ index: Int, to output: inout [UInt8]) throws(Fault) {
        output.append(UInt8(ascii: "{"))
        for place in stride(from: 0, to: writers.count, by: 2) {
            if place > 0 { output.append(contentsOf: ", ".utf8) }
            try writers[place].writeKey(index, argument: place + 1, to: &output)
            output.append(contentsOf: ": ".utf8)
            try writers[place + 1].write(index, to: &output)
        }
        output.append(UInt8(ascii: "}"))
    }

    /// An argument's values as JSON.
    private struct Writer {
        let type: SQLType
        let vector: Vector
        /// What the values say; texts of jsonb as they lie.
        let texts: BytesBuffer

        init(_ type: SQLType, _ vector: Vector) {
            self.type = type
            self.vector = vector
            texts = BytesBuffer(type == .jsonb ? vector.values : Conversion.text(of: vector).values)
        }

        func write(_ index: Int, to output: inout [UInt8]) throws(Fault) {
            let place = index & vector.mask
            guard vector.valid[place] != 0 else { return output.append(contentsOf: "null".utf8) }
            let text = texts[place]
            switch type {
            case .jsonb, .bool: output.append(contentsOf: text)
            // NaN and the infinities, which are no JSON numbers, are strings.
            case .int8: output.append(contentsOf: text)
            case .float8, .numeric:
                let isNumber = !text.contains { $0 | 0x20 == UInt8(ascii: "n") }
                if isNumber { output.append(contentsOf: text) } else { quote(text, to: &output) }
            case .textArray: array(text, place, to: &output)
            default: quote(text, to: &output)
            }
        }

        func writeKey(_ index: Int, argument: Int, to output: inout [UInt8]) throws(Fault) {
            let place = index & vector.mask
            guard vector.valid[place] != 0 else { throw .invalid("argument \(argument): key must not be null") }
            quote(texts[place], to: &output)
        }

        private func array(_ text: Bytes, _ place: Int, to output: inout [UInt8]) {
            output.append(UInt8(ascii: "["))
            for (number, item) in TextArray.Items(BytesBuffer(vector.values)[place]).enumerated() {
                if number > 0 { output.append(contentsOf: ", ".utf8) }
                if let item { JSONBText.quote(item, to: &output) } else { output.append(contentsOf: "null".utf8) }
            }
            output.append(UInt8(ascii: "]"))
        }

        /// Points in time in the form of XML Schema, as PostgreSQL has them in JSON: a T, and minutes of the zone.
        private func quote(_ text: Bytes, to output: inout [UInt8]) {
            guard type == .timestamp || type == .timestamptz else { return JSONBText.quote(text, to: &output) }
            output.append(UInt8(ascii: "\""))
            var blanks = 0
            for byte in text {
                if byte == 0x20 { blanks += 1 }
                output.append(byte == 0x20 && blanks == 1 ? UInt8(ascii: "T") : byte)
                // The zone is always +00.
                if byte == UInt8(ascii: "+") { output.append(contentsOf: "00:".utf8) }
            }
            output.append(UInt8(ascii: "\""))
        }
    }
}
