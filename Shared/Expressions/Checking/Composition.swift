/// Kernels made of other kernels: those that look at NULLs.
enum Composition {
    static let not = Kernel(canFault: false) { arguments, _, _ in
        guard case .bool(let values) = arguments[0].values else { preconditionFailure("not a boolean") }
        var result = arguments[0]
        result.values = .bool(values.map { $0 ^ 1 })
        return result
    }

    static func isNull(negated: Bool) -> Kernel {
        Kernel(canFault: false) { arguments, _, _ in
            let flip: UInt8 = negated ? 0 : 1
            let values = arguments[0].valid.map { $0 ^ flip }
            let valid = [UInt8](repeating: 1, count: values.count)
            return Vector(.bool, .bool(values), valid: valid, isConstant: arguments[0].isConstant)
        }
    }

    /// IS [NOT] TRUE or FALSE.
    static func isBool(_ wanted: Bool, negated: Bool) -> Kernel {
        Kernel(canFault: false) { arguments, _, _ in
            guard case .bool(let values) = arguments[0].values else { preconditionFailure("not a boolean") }
            let (flip, turn): (UInt8, UInt8) = (wanted ? 0 : 1, negated ? 1 : 0)
            let result = zip(values, arguments[0].valid).map { (($0 ^ flip) & $1) ^ turn }
            let valid = [UInt8](repeating: 1, count: result.count)
            return Vector(.bool, .bool(result), valid: valid, isConstant: arguments[0].isConstant)
        }
    }

    /// IS [NOT] DISTINCT FROM, by an equality.
    static func distinct(_ equals: Kernel, negated: Bool) -> Kernel {
        Kernel(canFault: equals.canFault) { arguments, frame, evaluation in
            let equal = equals.body(arguments, frame, &evaluation)
            guard case .bool(let values) = equal.values else { preconditionFailure("not a boolean") }
            var result = [UInt8](repeating: 0, count: equal.count)
            for index in result.indices {
                let a = arguments[0].valid[index & arguments[0].mask]
                let b = arguments[1].valid[index & arguments[1].mask]
                let same = (a & b) != 0 ? values[index] : 1 ^ (a ^ b)
                result[index] = negated ? same : same ^ 1
            }
            let valid = [UInt8](repeating: 1, count: result.count)
            return Vector(.bool, .bool(result), valid: valid, isConstant: equal.isConstant)
        }
    }

    /// NULLIF, by an equality.
    static func nullIf(_ equals: Kernel) -> Kernel {
        Kernel(canFault: equals.canFault) { arguments, frame, evaluation in
            let equal = equals.body(arguments, frame, &evaluation)
            guard case .bool(let values) = equal.values else { preconditionFailure("not a boolean") }
            var result = equal.isConstant ? arguments[0] : arguments[0].spread(to: frame.count)
            for index in 0..<result.count where equal.valid[index & equal.mask] & values[index & equal.mask] != 0 {
                result.valid[index] = 0
            }
            return result
        }
    }

    /// GREATEST or LEAST, by an order; NULLs do not count.
    static func extreme(_ type: SQLType, greatest: Bool, _ less: Kernel) -> Kernel {
        Kernel(canFault: less.canFault) { arguments, frame, evaluation in
            let isConstant = arguments.allSatisfy(\.isConstant)
            let count = isConstant ? 1 : frame.count
            var best = arguments[0].spread(to: count)
            for next in arguments.dropFirst() {
                let pair = greatest ? [best, next] : [next, best]
                let order = less.body(pair, Frame(all: count), &evaluation)
                guard case .bool(let isBetter) = order.values else { preconditionFailure("not a boolean") }
                best = pick(type, best, next, count) { index in
                    let (known, candidate) = (best.valid[index], next.valid[index & next.mask])
                    if candidate == 0 { return false }
                    return known == 0 || isBetter[index & order.mask] != 0
                }
            }
            best.isConstant = isConstant
            return best
        }
    }

    private static func pick(
        _ type: SQLType, _ first: Vector, _ second: Vector, _ count: Int, _ takesSecond: (Int) -> Bool
    ) -> Vector {
        switch type {
        case .int8, .timestamptz, .timestamp, .date: pick(Int64.self, type, first, second, count, takesSecond)
        case .float8: pick(Double.self, type, first, second, count, takesSecond)
        case .bool: pick(Bool.self, type, first, second, count, takesSecond)
        case .numeric: pick(Decimal.self, type, first, second, count, takesSecond)
        case .interval: pick(Interval.self, type, first, second, count, takesSecond)
        case .text, .jsonb, .uuid, .bytea, .textArray, .unknown:
            pick(Bytes.self, type, first, second, count, takesSecond)
        }
    }

    private static func pick<V: SQLValue>(
        _: V.Type, _ type: SQLType, _ first: Vector, _ second: Vector, _ count: Int, _ takesSecond: (Int) -> Bool
    ) -> Vector {
        let (a, b) = (V.Buffer(first.values), V.Buffer(second.values))
        var result = V.Buffer(reserving: count)
        var valid = [UInt8](repeating: 0, count: count)
        for index in 0..<count {
            if takesSecond(index) {
                result.append(b[index & second.mask])
                valid[index] = 1
            } else {
                result.append(a[index & first.mask])
                valid[index] = first.valid[index & first.mask]
            }
        }
        return Vector(type, result.values, valid: valid)
    }

    /// `concat` and `concat_ws` over texts; NULLs are left out.
    static func concatenation(separated: Bool) -> Kernel {
        Kernel(canFault: true) { arguments, frame, evaluation in
            let buffers = arguments.map { BytesBuffer($0.values) }
            let first = separated ? 1 : 0
            // NULL only if the separator is.
            return Lift.build(
                .text, arguments, frame, &evaluation, required: separated ? [arguments[0]] : []
            ) { (index, output) throws(Fault) in
                var isFirst = true
                for number in first..<arguments.count {
                    let place = index & arguments[number].mask
                    guard arguments[number].valid[place] != 0 else { continue }
                    if separated, !isFirst { output.append(contentsOf: buffers[0][index & arguments[0].mask]) }
                    isFirst = false
                    output.append(contentsOf: buffers[number][place])
                }
            }
        }
    }

    /// A boolean as `concat` prints it: `t` or `f`.
    static let shortBool = Lift.text { (value: Bool, output: inout [UInt8]) in
        output.append(value ? UInt8(ascii: "t") : UInt8(ascii: "f"))
    }

    /// How many of a row's values are NULL, or are not.
    static func count(nulls: Bool) -> Kernel {
        Kernel(canFault: false) { arguments, frame, _ in
            let isConstant = arguments.allSatisfy(\.isConstant)
            let count = isConstant ? 1 : frame.count
            var result = [Int64](repeating: 0, count: count)
            for argument in arguments {
                for index in 0..<count {
                    let isValue = argument.valid[index & argument.mask]
                    result[index] += Int64(nulls ? isValue ^ 1 : isValue)
                }
            }
            let valid = [UInt8](repeating: 1, count: count)
            return Vector(.int8, .int64(result), valid: valid, isConstant: isConstant)
        }
    }

    /// `ARRAY[…]` of texts.
    static let textArray = Kernel(canFault: true) { arguments, frame, evaluation in
        let buffers = arguments.map { BytesBuffer($0.values) }
        return Lift.build(.textArray, arguments, frame, &evaluation, required: []) { (index, output) throws(Fault) in
            for (buffer, argument) in zip(buffers, arguments) {
                let place = index & argument.mask
                TextArray.append(argument.valid[place] != 0 ? buffer[place] : nil, to: &output)
            }
        }
    }

    static let join = join(.text)
    static let joinBytes = join(.bytea)

    private static func join(_ type: SQLType) -> Kernel {
        Lift.text(canFault: true, type: type) { (a: Bytes, b: Bytes, output: inout [UInt8]) in
            output.append(contentsOf: a)
            output.append(contentsOf: b)
        }
    }
}
