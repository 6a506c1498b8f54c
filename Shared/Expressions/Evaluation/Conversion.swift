import Records

/// Casts between types.
enum Conversion {
    /// What PostgreSQL converts by itself wherever another type is wanted.
    static func isImplicit(_ source: SQLType, _ target: SQLType) -> Bool {
        switch (source, target) {
        case (.int8, .numeric), (.int8, .float8), (.numeric, .float8), (.unknown, _): true
        case (.date, .timestamptz), (.date, .timestamp), (.timestamp, .timestamptz): true
        default: source == target
        }
    }

    /// The kernel of a cast that may be written; nil where there is none.
    static func cast(_ source: SQLType, _ target: SQLType) -> Kernel? {
        if source == target { return Kernel(canFault: false) { arguments, _, _ in arguments[0] } }
        if target == .text { return Kernel(canFault: false) { arguments, _, _ in text(of: arguments[0]) } }
        if source == .text || source == .unknown { return fromText(target) }
        if source == .jsonb { return fromJSON(target) }
        return scalar(source, target)
    }

    private static func scalar(_ source: SQLType, _ target: SQLType) -> Kernel? {
        switch (source, target) {
        case (.int8, .numeric): return Lift.one(.numeric) { (value: Int64) in Decimal(value) }
        case (.int8, .float8): return Lift.one(.float8) { (value: Int64) in Double(value) }
        case (.int8, .bool): return Lift.one(.bool) { (value: Int64) in value != 0 }
        case (.bool, .int8): return Lift.one(.int8) { (value: Bool) in value ? 1 as Int64 : 0 }
        case (.numeric, .int8):
            return Lift.one(.int8, canFault: true) { (value: Decimal) throws(Fault) in try value.int64() }
        case (.numeric, .float8):
            return Lift.one(.float8, canFault: true) { (value: Decimal) throws(Fault) in
                let double = value.double
                if double.isInfinite, value.isFinite {
                    throw .range("\"\(value.text)\" is out of range for type double precision")
                }
                return double
            }
        case (.float8, .int8):
            return Lift.one(.int8, canFault: true) { (value: Double) throws(Fault) in
                let rounded = value.rounded(.toNearestOrEven)
                guard rounded >= -0x1p63, rounded < 0x1p63 else { throw .integerRange }
                return Int64(rounded)
            }
        case (.float8, .numeric): return Lift.one(.numeric) { (value: Double) in Decimal(float: value) }
        case (.date, .timestamptz), (.date, .timestamp):
            return Lift.one(target, canFault: true) { (value: Int64) throws(Fault) in
                if value == .max || value == .min { return value }
                guard Calendar.timestampDays.contains(value) else { throw .dateToTimestamp }
                return value * Calendar.microsecondsPerDay
            }
        case (.timestamp, .timestamptz), (.timestamptz, .timestamp):
            // The time zone is UTC.
            return Kernel(canFault: false) { arguments, _, _ in
                var result = arguments[0]
                result.type = target
                return result
            }
        case (.timestamptz, .date), (.timestamp, .date):
            return Lift.one(.date) { (value: Int64) in
                value == .max || value == .min ? value : value.floorDivided(by: Calendar.microsecondsPerDay)
            }
        default: return nil
        }
    }

    private static func fromJSON(_ target: SQLType) -> Kernel? {
        let expected: JSONBText.Kind
        switch target {
        case .bool: expected = .boolean
        case .int8, .float8, .numeric: expected = .number
        default: return nil
        }
        let narrow = target == .bool || target == .numeric ? nil : cast(.numeric, target)
        return Kernel(canFault: true) { arguments, frame, evaluation in
            let json = BytesBuffer(arguments[0].values)
            let mask = arguments[0].mask
            func check(_ index: Int) throws(Fault) -> Bytes {
                let kind = JSONBText.kind(json[index & mask])
                guard kind == expected else {
                    throw .invalid("cannot cast jsonb \(kind.rawValue) to type \(target.name)")
                }
                return ValueInput.trimmed(json[index & mask])
            }
            if target == .bool {
                return Lift.run(.bool, arguments, frame, &evaluation) { (index) throws(Fault) -> Bool? in
                    try check(index).first == UInt8(ascii: "t")
                }
            }
            let numbers = Lift.run(.numeric, arguments, frame, &evaluation) { (index) throws(Fault) -> Decimal? in
                try ValueInput.numeric(check(index))
            }
            return narrow?.body([numbers], frame, &evaluation) ?? numbers
        }
    }

    /// Narrows a value by what stands behind its type's name.
    static func modifier(_ modifier: TypeName.Modifier) -> Kernel? {
        switch modifier {
        case .none: return nil
        case .range(let maximum, let name):
            return Lift.one(.int8, canFault: true) { (value: Int64) throws(Fault) in
                guard value <= maximum, value >= -maximum - 1 else { throw .range("\(name) out of range") }
                return value
            }
        case .numeric(let precision, let scale):
            return Lift.one(.numeric, canFault: true) { (value: Decimal) throws(Fault) in
                try value.limited(precision: precision, scale: scale)
            }
        }
    }
}

extension Fault {
    static var dateToTimestamp: Fault { Fault("out_of_range", "date out of range for timestamp") }
}

// MARK: - Text

extension Conversion {
    /// Every value as text; of a boolean `true` or `false`.
    static func text(of vector: Vector) -> Vector {
        switch vector.type {
        case .text, .unknown: Vector(.text, vector.values, valid: vector.valid, isConstant: vector.isConstant)
        case .int8: written(vector) { (value: Int64, output) in ValueOutput.write(value, to: &output) }
        case .float8: written(vector) { (value: Double, output) in FloatText.write(value, to: &output) }
        case .numeric: written(vector) { (value: Decimal, output) in value.write(to: &output) }
        case .bool: written(vector) { (value: Bool, output) in ValueOutput.bool(value, to: &output) }
        case .timestamptz:
            written(vector) { (value: Int64, output) in TextOutput.append(timestamptz: value, into: &output) }
        case .timestamp:
            written(vector) { (value: Int64, output) in TextOutput.append(timestamp: value, into: &output) }
        case .date: written(vector) { (value: Int64, output) in TextOutput.append(date: value, into: &output) }
        case .uuid: written(vector) { (value: Bytes, output) in TextOutput.append(uuid: value, into: &output) }
        case .jsonb: written(vector) { (value: Bytes, output) in JSONBText.write(value, to: &output) }
        case .interval: written(vector) { (value: Interval, output) in ValueOutput.interval(value, to: &output) }
        case .bytea: written(vector) { (value: Bytes, output) in ValueOutput.bytea(value, to: &output) }
        case .textArray: written(vector) { (value: Bytes, output) in TextArray.write(value, to: &output) }
        }
    }

    @inline(__always)
    private static func written<A: SQLValue>(_ vector: Vector, _ write: (A, inout [UInt8]) -> Void) -> Vector {
        let buffer = A.Buffer(vector.values)
        var result = ByteColumn(reserving: vector.count, bytes: vector.count * 12)
        for index in 0..<vector.count {
            if vector.valid[index] != 0 { write(buffer[index], &result.data) }
            result.endValue()
        }
        return Vector(.text, .bytes(result), valid: vector.valid, isConstant: vector.isConstant)
    }

    /// A type's input function.
    static func fromText(_ target: SQLType) -> Kernel {
        switch target {
        case .text, .unknown: return Kernel(canFault: false) { arguments, _, _ in text(of: arguments[0]) }
        case .int8: return Lift.one(.int8, canFault: true) { (text: Bytes) throws(Fault) in try ValueInput.int8(text) }
        case .float8:
            return Lift.one(.float8, canFault: true) { (text: Bytes) throws(Fault) in try ValueInput.float8(text) }
        case .numeric:
            return Lift.one(.numeric, canFault: true) { (text: Bytes) throws(Fault) in try ValueInput.numeric(text) }
        case .bool: return Lift.one(.bool, canFault: true) { (text: Bytes) throws(Fault) in try ValueInput.bool(text) }
        case .interval:
            return Lift.one(.interval, canFault: true) { (text: Bytes) throws(Fault) in try ValueInput.interval(text) }
        case .uuid:
            return Lift.text(canFault: true, type: .uuid) { (text: Bytes, output: inout [UInt8]) throws(Fault) in
                try ValueInput.uuid(text, to: &output)
            }
        case .jsonb:
            return Lift.one(.jsonb, canFault: true) { (text: Bytes) throws(Fault) in try ValueInput.jsonb(text) }
        case .date: return Lift.one(.date, canFault: true) { (text: Bytes) throws(Fault) in try ValueInput.date(text) }
        case .timestamptz:
            return Lift.one(.timestamptz, canFault: true) { (text: Bytes) throws(Fault) in
                try ValueInput.timestamptz(text)
            }
        case .timestamp:
            return Lift.one(.timestamp, canFault: true) { (text: Bytes) throws(Fault) in
                try ValueInput.timestamp(text)
            }
        case .bytea:
            return Lift.text(canFault: true, type: .bytea) { (text: Bytes, output: inout [UInt8]) throws(Fault) in
                try ValueInput.bytea(text, to: &output)
            }
        case .textArray:
            return Lift.text(canFault: true, type: .textArray) { (text: Bytes, output: inout [UInt8]) throws(Fault) in
                try TextArray.read(text, to: &output)
            }
        }
    }
}
