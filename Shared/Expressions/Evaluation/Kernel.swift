import Records

/// A function over whole vectors.
struct Kernel: Sendable {
    typealias Body = @Sendable ([Vector], Frame, inout Evaluation) -> Vector

    /// Whether a row may fail in it. What cannot fail may be computed for rows that do not need it.
    let canFault: Bool
    let body: Body
    private(set) var collation = ResultCollation.ofOperands

    init(canFault: Bool, _ body: @escaping Body) {
        self.canFault = canFault
        self.body = body
    }

    func making(_ collation: ResultCollation) -> Kernel {
        var kernel = self
        kernel.collation = collation
        return kernel
    }
}

/// What collation the text has that a function makes.
enum ResultCollation: Sendable {
    case ofOperands
    /// Theirs, if they have one, and "C" if not: it has gone by "C".
    case ofOperandsOrBytes
    /// "C" in any case.
    case bytes
}

/// Makes kernels of functions over single values. A NULL argument gives NULL, as a STRICT function does; so does nil.
enum Lift {
    static func one<A: SQLValue, R: SQLValue>(
        _ type: SQLType, canFault: Bool = false, _ body: @escaping @Sendable (A) throws(Fault) -> R?
    ) -> Kernel {
        Kernel(canFault: canFault) { arguments, frame, evaluation in
            let a = A.Buffer(arguments[0].values)
            return run(type, arguments, frame, &evaluation) { (index) throws(Fault) -> R? in
                try body(a[index & arguments[0].mask])
            }
        }
    }

    static func two<A: SQLValue, B: SQLValue, R: SQLValue>(
        _ type: SQLType, canFault: Bool = false, _ body: @escaping @Sendable (A, B) throws(Fault) -> R?
    ) -> Kernel {
        Kernel(canFault: canFault) { arguments, frame, evaluation in
            let a = A.Buffer(arguments[0].values)
            let b = B.Buffer(arguments[1].values)
            let (maskA, maskB) = (arguments[0].mask, arguments[1].mask)
            return run(type, arguments, frame, &evaluation) { (index) throws(Fault) -> R? in
                try body(a[index & maskA], b[index & maskB])
            }
        }
    }

    static func three<A: SQLValue, B: SQLValue, C: SQLValue, R: SQLValue>(
        _ type: SQLType, canFault: Bool = false, _ body: @escaping @Sendable (A, B, C) throws(Fault) -> R?
    ) -> Kernel {
        Kernel(canFault: canFault) { arguments, frame, evaluation in
            let a = A.Buffer(arguments[0].values)
            let b = B.Buffer(arguments[1].values)
            let c = C.Buffer(arguments[2].values)
            let (maskA, maskB, maskC) = (arguments[0].mask, arguments[1].mask, arguments[2].mask)
            return run(type, arguments, frame, &evaluation) { (index) throws(Fault) -> R? in
                try body(a[index & maskA], b[index & maskB], c[index & maskC])
            }
        }
    }

    /// The rows in which no argument is NULL: 1 each, by place.
    static func present(_ arguments: [Vector], count: Int) -> [UInt8] {
        var valid = [UInt8](repeating: 1, count: count)
        for argument in arguments {
            if argument.isConstant {
                if argument.valid[0] == 0 { return [UInt8](repeating: 0, count: count) }
            } else {
                for index in 0..<count { valid[index] &= argument.valid[index] }
            }
        }
        return valid
    }

    /// The loop of all of them: `body` by place, where no argument is NULL.
    @inline(__always)
    static func run<R: SQLValue>(
        _ type: SQLType, _ arguments: [Vector], _ frame: Frame, _ evaluation: inout Evaluation,
        _ body: (Int) throws(Fault) -> R?
    ) -> Vector {
        let isConstant = arguments.allSatisfy(\.isConstant)
        let count = isConstant ? 1 : frame.count
        var valid = present(arguments, count: count)
        var result = R.Buffer(reserving: count)
        for index in 0..<count {
            guard valid[index] != 0 else {
                result.appendAbsent()
                continue
            }
            do throws(Fault) {
                if let value = try body(index) {
                    result.append(value)
                } else {
                    valid[index] = 0
                    result.appendAbsent()
                }
            } catch {
                valid[index] = 0
                result.appendAbsent()
                evaluation.report(error, at: index, of: frame, isConstant: isConstant)
            }
        }
        return Vector(type, result.values, valid: valid, isConstant: isConstant)
    }
}

// MARK: - Text results

extension Lift {
    /// The longest text that a function makes, and the most that it makes for all rows of a batch, in bytes.
    static let maximumLength = 16 << 20
    private static let maximumTotal = 1 << 30

    /// Like `run`, for text that is built: `body` appends to the bytes it is given. Only the `required` arguments (all,
    /// if not said) make it NULL.
    @inline(__always)
    static func build(
        _ type: SQLType, _ arguments: [Vector], _ frame: Frame, _ evaluation: inout Evaluation,
        required: [Vector]? = nil, _ body: (Int, inout [UInt8]) throws(Fault) -> Void
    ) -> Vector {
        let isConstant = arguments.allSatisfy(\.isConstant)
        let count = isConstant ? 1 : frame.count
        var valid = present(required ?? arguments, count: count)
        var result = ByteColumn(reserving: count, bytes: count * 16)
        for index in 0..<count {
            if valid[index] != 0 {
                let start = result.data.count
                do throws(Fault) {
                    try body(index, &result.data)
                    guard result.data.count - start <= Self.maximumLength, result.data.count <= Self.maximumTotal else {
                        throw Fault("limit_exceeded", "requested length too large")
                    }
                } catch {
                    result.data.removeSubrange(start...)
                    valid[index] = 0
                    evaluation.report(error, at: index, of: frame, isConstant: isConstant)
                }
            }
            result.endValue()
        }
        return Vector(type, .bytes(result), valid: valid, isConstant: isConstant)
    }

    static func text<A: SQLValue>(
        canFault: Bool = false, type: SQLType = .text,
        _ body: @escaping @Sendable (A, inout [UInt8]) throws(Fault) -> Void
    ) -> Kernel {
        Kernel(canFault: canFault) { arguments, frame, evaluation in
            let a = A.Buffer(arguments[0].values)
            let maskA = arguments[0].mask
            return build(type, arguments, frame, &evaluation) { (index, output) throws(Fault) in
                try body(a[index & maskA], &output)
            }
        }
    }

    static func text<A: SQLValue, B: SQLValue>(
        canFault: Bool = false, type: SQLType = .text,
        _ body: @escaping @Sendable (A, B, inout [UInt8]) throws(Fault) -> Void
    ) -> Kernel {
        Kernel(canFault: canFault) { arguments, frame, evaluation in
            let a = A.Buffer(arguments[0].values)
            let b = B.Buffer(arguments[1].values)
            let (maskA, maskB) = (arguments[0].mask, arguments[1].mask)
            return build(type, arguments, frame, &evaluation) { (index, output) throws(Fault) in
                try body(a[index & maskA], b[index & maskB], &output)
            }
        }
    }

    static func text<A: SQLValue, B: SQLValue, C: SQLValue>(
        canFault: Bool = false, type: SQLType = .text,
        _ body: @escaping @Sendable (A, B, C, inout [UInt8]) throws(Fault) -> Void
    ) -> Kernel {
        Kernel(canFault: canFault) { arguments, frame, evaluation in
            let a = A.Buffer(arguments[0].values)
            let b = B.Buffer(arguments[1].values)
            let c = C.Buffer(arguments[2].values)
            let (maskA, maskB, maskC) = (arguments[0].mask, arguments[1].mask, arguments[2].mask)
            return build(type, arguments, frame, &evaluation) { (index, output) throws(Fault) in
                try body(a[index & maskA], b[index & maskB], c[index & maskC], &output)
            }
        }
    }
}
