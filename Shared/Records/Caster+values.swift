// Casts of untyped and text values.
extension Caster {
    mutating func cast(_ source: TextSource) -> ColumnStorage {
        switch target {
        case .text: .bytes(texts(source.values))
        case .int8: .int64(int8s(source.values))
        case .float8: .float64(float8s(source.values))
        case .bool: .bool(bools(source.values))
        case .timestamptz: .int64(timestamps(source.values))
        case .date: .int64(days(source.values))
        case .uuid: .bytes(uuids(source.values))
        case .numeric: .bytes(numerics(source.values))
        case .jsonb: .bytes(jsons(source.values))
        }
    }

    private mutating func int8s(_ values: VariantColumn) -> [Int64] {
        if rule == .inferred { return fixed(values, 0, int: { $0 }, TextInput.inferredInt8) }
        return fixed(values, 0, int: { $0 }) { text, _ throws(InputFault) in try TextInput.int8(text) }
    }

    private mutating func float8s(_ values: VariantColumn) -> [Double] {
        if rule == .inferred {
            return fixed(values, 0, int: TextInput.inferredFloat8, TextInput.inferredFloat8)
        }
        return fixed(values, 0, int: { Double($0) }) { text, _ throws(InputFault) in try TextInput.float8(text) }
    }

    private mutating func timestamps(_ values: VariantColumn) -> [Int64] {
        switch rule {
        case .inferred: return fixed(values, 0, TextInput.inferredTimestamptz)
        case .declared:
            return fixed(values, 0) { text, isNumber throws(InputFault) in
                guard !isNumber else { throw .number }
                return try TextInput.timestamptz(text)
            }
        case .conversion: return fixed(values, 0) { text, _ throws(InputFault) in try TextInput.timestamptz(text) }
        }
    }

    private mutating func days(_ values: VariantColumn) -> [Int64] {
        switch rule {
        case .inferred: return fixed(values, 0, TextInput.inferredDate)
        case .declared:
            return fixed(values, 0) { text, isNumber throws(InputFault) in
                guard !isNumber else { throw .number }
                return try TextInput.day(text)
            }
        case .conversion: return fixed(values, 0) { text, _ throws(InputFault) in try TextInput.date(text) }
        }
    }

    private mutating func bools(_ values: VariantColumn) -> [UInt8] {
        var result =
            rule == .inferred
            ? fixed(values, UInt8(0)) { text, isNumber throws(InputFault) in
                try TextInput.inferredBool(text, isNumber: isNumber) ? 1 : 0
            }
            : fixed(values, UInt8(0)) { text, _ throws(InputFault) in try TextInput.bool(text) ? 1 : 0 }
        // JSON's own booleans were read from their text, which costs more than it gives.
        for row in 0..<values.count where values.kinds[row] == VariantKind.true.rawValue { result[row] = 1 }
        return result
    }

    /// Values of fixed size: ints by `int` where there is such a way, others by their text, of which is told whether it
    /// is a JSON number's.
    private mutating func fixed<Value: BitwiseCopyable>(
        _ values: VariantColumn, _ zero: Value, int: ((Int64) throws(InputFault) -> Value)? = nil,
        _ parse: (Span<UInt8>, Bool) throws(InputFault) -> Value
    ) -> [Value] {
        var result = [Value](repeating: zero, count: values.count)
        var output = result.mutableSpan
        let kinds = values.kinds.span
        let payloads = values.payloads.span
        let arena = values.arena.span
        for row in 0..<values.count {
            let kind = kinds[row]
            if kind == VariantKind.int.rawValue, let int {
                do throws(InputFault) {
                    output[row] = try int(Int64(bitPattern: payloads[row]))
                } catch {
                    fail(row, error, values)
                }
            } else if kind >= VariantKind.firstPlaced {
                let text = arena.extracting(VariantColumn.range(of: payloads[row]))
                do throws(InputFault) {
                    output[row] = try parse(text, kind == VariantKind.number.rawValue)
                } catch {
                    fail(row, error, text)
                }
            } else if kind >= VariantKind.firstPresent {
                parseWord(values, row, &output[row], parse)
            }
        }
        return result
    }

    /// A value that has no text in the arena: a boolean or an int.
    private mutating func parseWord<Value>(
        _ values: VariantColumn, _ row: Int, _ output: inout Value,
        _ parse: (Span<UInt8>, Bool) throws(InputFault) -> Value
    ) {
        var text: [UInt8] = []
        TextOutput.append(values, row, into: &text)
        do throws(InputFault) {
            output = try parse(text.span, values.kind(row) == .int)
        } catch {
            fail(row, error, text.span)
        }
    }

    private mutating func fail(_ row: Int, _ fault: InputFault, _ values: VariantColumn) {
        var text: [UInt8] = []
        TextOutput.append(values, row, into: &text)
        fail(row, fault, text.span)
    }

    private mutating func texts(_ values: VariantColumn) -> ByteColumn {
        if let shared = values.sharedTexts() { return shared }
        var result = ByteColumn(reserving: values.count, bytes: values.arena.count)
        for row in 0..<values.count {
            TextOutput.append(values, row, into: &result.data)
            result.endValue()
        }
        return result
    }

    private mutating func uuids(_ values: VariantColumn) -> ByteColumn {
        if rule == .inferred { return appended(values, reserving: 16, TextInput.inferredUUID) }
        return appended(values, reserving: 16) { text, _, output throws(InputFault) in
            try TextInput.uuid(text, into: &output)
        }
    }

    private mutating func numerics(_ values: VariantColumn) -> ByteColumn {
        // An exponent of few bytes can stand for 131,072 digits: what a column may grow to is bounded.
        let limit = values.arena.count + (256 << 20)
        if rule == .inferred {
            return appended(values, reserving: 12) { text, isNumber, output throws(InputFault) in
                guard output.count < limit else { throw .range }
                try TextInput.inferredNumeric(text, isNumber: isNumber, into: &output)
            }
        }
        return appended(values, reserving: 12) { text, _, output throws(InputFault) in
            guard output.count < limit else { throw .range }
            try TextInput.numeric(text, into: &output)
        }
    }

    private mutating func jsons(_ values: VariantColumn) -> ByteColumn {
        var result = ByteColumn(reserving: values.count, bytes: values.arena.count + values.count * 4)
        for row in 0..<values.count {
            switch values.kind(row) {
            case .missing, .null: break
            case .false, .true, .int, .number: TextOutput.append(values, row, into: &result.data)
            case .json: result.data.append(contentsOf: values[row])
            case .string: JSONText.appendString(values.arena.span.extracting(values.range(row)), into: &result.data)
            case .cell:
                let text = values.arena.span.extracting(values.range(row))
                if let problem = JSONText.check(text) {
                    fail(row, code: problem.code, problem.message)
                } else {
                    result.data.append(contentsOf: values[row])
                }
            }
            result.endValue()
        }
        return result
    }

    /// Values that are appended to the column's bytes by their text.
    private mutating func appended(
        _ values: VariantColumn, reserving width: Int,
        _ parse: (Span<UInt8>, Bool, inout [UInt8]) throws(InputFault) -> Void
    ) -> ByteColumn {
        var result = ByteColumn(reserving: values.count, bytes: values.count * width)
        let kinds = values.kinds.span
        let payloads = values.payloads.span
        let arena = values.arena.span
        var word: [UInt8] = []
        for row in 0..<values.count {
            if kinds[row] >= VariantKind.firstPlaced {
                let text = arena.extracting(VariantColumn.range(of: payloads[row]))
                do throws(InputFault) {
                    try parse(text, kinds[row] == VariantKind.number.rawValue, &result.data)
                } catch {
                    fail(row, error, text)
                }
            } else if kinds[row] >= VariantKind.firstPresent {
                word.removeAll(keepingCapacity: true)
                TextOutput.append(values, row, into: &word)
                do throws(InputFault) {
                    try parse(word.span, kinds[row] == VariantKind.int.rawValue, &result.data)
                } catch {
                    fail(row, error, word.span)
                }
            }
            result.endValue()
        }
        return result
    }
}

extension VariantColumn {
    /// The values as text in the arena's own bytes, where they all lie there one behind the other.
    func sharedTexts() -> ByteColumn? {
        var offsets = [UInt32](repeating: 0, count: count + 1)
        var next: UInt64 = 0
        for row in 0..<count {
            offsets[row] = UInt32(truncatingIfNeeded: next)
            let kind = kinds[row]
            if kind < VariantKind.firstPresent { continue }
            guard kind >= VariantKind.firstPlaced, payloads[row] >> 32 == next else { return nil }
            next += payloads[row] & 0xFFFF_FFFF
        }
        offsets[count] = UInt32(truncatingIfNeeded: next)
        return ByteColumn(offsets: offsets, data: arena)
    }
}
