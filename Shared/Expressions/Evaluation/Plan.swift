import Records

/// A type-checked expression, ready to run.
indirect enum Plan: Sendable {
    case constant(Vector)
    /// A column of the batch, by name, brought to a type. A batch without it has NULLs.
    case field(String, SQLType)
    case call(Kernel, [Plan], SQLType)
    /// AND, or OR, whose right side is computed only where the left has not decided.
    case logical(isAnd: Bool, Plan, Plan)
    /// CASE: the value of the first branch whose condition is true.
    case choose([Branch], otherwise: Plan, SQLType)
    /// The first value that is not NULL.
    case coalesce([Plan], SQLType)

    struct Branch: Sendable {
        let condition: Plan
        let value: Plan
    }

    var type: SQLType {
        switch self {
        case .constant(let vector): vector.type
        case .field(_, let type), .call(_, _, let type), .choose(_, _, let type), .coalesce(_, let type): type
        case .logical: .bool
        }
    }

    var isConstant: Bool { if case .constant = self { true } else { false } }

    /// Whether a row may fail in it: then it is computed only for rows that need it.
    var canFault: Bool {
        switch self {
        case .constant: false
        case .field(_, let type): type != .text && type != .unknown
        case .call(let kernel, let arguments, _): kernel.canFault || arguments.contains(where: \.canFault)
        case .logical(_, let left, let right): left.canFault || right.canFault
        case .choose(let branches, let otherwise, _):
            otherwise.canFault || branches.contains { $0.condition.canFault || $0.value.canFault }
        case .coalesce(let items, _): items.contains(where: \.canFault)
        }
    }

    /// Constants and columns, which cost nothing to have for all rows.
    private var isLeaf: Bool {
        switch self {
        case .constant: true
        case .field(_, let type): type == .text || type == .unknown
        default: false
        }
    }

    func evaluate(_ frame: Frame, _ evaluation: inout Evaluation) -> Vector {
        switch self {
        case .constant(let vector): return vector
        case .field(let name, let type): return evaluation.field(name, as: type, frame)
        case .call(let kernel, let arguments, _):
            let vectors = arguments.map { $0.evaluate(frame, &evaluation) }
            return kernel.body(vectors, frame, &evaluation)
        case .logical(let isAnd, let left, let right):
            return Self.logical(isAnd, left, right, frame, &evaluation)
        case .choose(let branches, let otherwise, let type):
            return Self.choose(branches, otherwise, type, frame, &evaluation)
        case .coalesce(let items, let type): return Self.coalesce(items, type, frame, &evaluation)
        }
    }
}

// MARK: - AND, OR

extension Plan {
    private static func logical(
        _ isAnd: Bool, _ left: Plan, _ right: Plan, _ frame: Frame, _ evaluation: inout Evaluation
    ) -> Vector {
        let first = left.evaluate(frame, &evaluation)
        guard right.canFault else {
            return combined(isAnd, first, right.evaluate(frame, &evaluation), count: frame.count)
        }
        guard case .bool(let values) = first.values else { preconditionFailure("not booleans") }
        let decisive: UInt8 = isAnd ? 0 : 1
        if first.isConstant {
            if first.valid[0] != 0, values[0] == decisive { return first }
            return combined(isAnd, first, right.evaluate(frame, &evaluation), count: frame.count)
        }
        var open: [Int32] = []
        for index in 0..<frame.count where first.valid[index] == 0 || values[index] != decisive {
            open.append(Int32(truncatingIfNeeded: index))
        }
        if open.isEmpty { return first }
        if open.count == frame.count {
            return combined(isAnd, first, right.evaluate(frame, &evaluation), count: frame.count)
        }
        let second = right.evaluate(frame.narrowed(to: open), &evaluation)
        let part = combined(isAnd, first.gathered(open), second, count: open.count)
        guard case .bool(let partValues) = part.values else { preconditionFailure("not booleans") }
        var (valid, result) = (first.valid, values)
        for (index, place) in open.enumerated() {
            valid[Int(place)] = part.valid[index & part.mask]
            result[Int(place)] = partValues[index & part.mask]
        }
        return Vector(.bool, .bool(result), valid: valid)
    }

    /// Three-valued AND or OR.
    private static func combined(_ isAnd: Bool, _ left: Vector, _ right: Vector, count: Int) -> Vector {
        guard case .bool(let a) = left.values, case .bool(let b) = right.values else {
            preconditionFailure("not booleans")
        }
        let isConstant = left.isConstant && right.isConstant
        let count = isConstant ? 1 : count
        var valid = [UInt8](repeating: 0, count: count)
        var result = [UInt8](repeating: 0, count: count)
        // Works on the decisive value: false for AND, true for OR.
        let flip: UInt8 = isAnd ? 1 : 0
        for index in 0..<count {
            let (i, j) = (index & left.mask, index & right.mask)
            let decided = (left.valid[i] & (a[i] ^ flip)) | (right.valid[j] & (b[j] ^ flip))
            valid[index] = decided | (left.valid[i] & right.valid[j])
            result[index] = decided ^ flip
        }
        return Vector(.bool, .bool(result), valid: valid, isConstant: isConstant)
    }
}

// MARK: - CASE, COALESCE

extension Plan {
    /// Which of several vectors each row's value is taken from, and where.
    private struct Selection {
        var sources: [Vector] = []
        var source: [Int32]
        var place: [Int32]

        init(count: Int) {
            source = [Int32](repeating: 0, count: count)
            place = [Int32](repeating: 0, count: count)
        }

        /// Takes the values of `plan` for the rows at `places` of the frame; computes them only there if they may fail.
        mutating func take(
            _ plan: Plan, at places: [Int32], of frame: Frame, _ evaluation: inout Evaluation
        ) -> Vector {
            let whole = plan.isLeaf || places.count == frame.count
            let vector = plan.evaluate(whole ? frame : frame.narrowed(to: places), &evaluation)
            let number = Int32(sources.count)
            sources.append(vector)
            for (index, row) in places.enumerated() {
                source[Int(row)] = number
                place[Int(row)] = vector.isConstant ? 0 : (whole ? row : Int32(truncatingIfNeeded: index))
            }
            return vector
        }

        func merged(_ type: SQLType) -> Vector {
            switch type {
            case .int8, .timestamptz, .timestamp, .date: merged(type, Int64.self)
            case .float8: merged(type, Double.self)
            case .bool: merged(type, Bool.self)
            case .numeric: merged(type, Decimal.self)
            case .interval: merged(type, Interval.self)
            case .text, .jsonb, .uuid, .bytea, .textArray, .unknown: merged(type, Bytes.self)
            }
        }

        private func merged<V: SQLValue>(_ type: SQLType, _: V.Type) -> Vector {
            let buffers = sources.map { V.Buffer($0.values) }
            var valid = [UInt8](repeating: 0, count: source.count)
            var result = V.Buffer(reserving: source.count)
            for index in source.indices {
                let (number, row) = (Int(source[index]), Int(place[index]))
                if sources[number].valid[row] != 0 {
                    valid[index] = 1
                    result.append(buffers[number][row])
                } else {
                    result.appendAbsent()
                }
            }
            return Vector(type, result.values, valid: valid)
        }
    }

    private static func places(_ count: Int) -> [Int32] {
        (0..<Int32(count)).map { $0 }
    }

    private static func choose(
        _ branches: [Branch], _ otherwise: Plan, _ type: SQLType, _ frame: Frame, _ evaluation: inout Evaluation
    ) -> Vector {
        var selection = Selection(count: frame.count)
        var open = places(frame.count)
        for branch in branches where !open.isEmpty {
            let all = open.count == frame.count
            let condition = branch.condition.evaluate(all ? frame : frame.narrowed(to: open), &evaluation)
            guard case .bool(let values) = condition.values else { preconditionFailure("not booleans") }
            var taken: [Int32] = []
            var left: [Int32] = []
            for (index, row) in open.enumerated() {
                let i = index & condition.mask
                if condition.valid[i] & values[i] != 0 { taken.append(row) } else { left.append(row) }
            }
            if !taken.isEmpty { _ = selection.take(branch.value, at: taken, of: frame, &evaluation) }
            open = left
        }
        if !open.isEmpty || selection.sources.isEmpty {
            _ = selection.take(otherwise, at: open, of: frame, &evaluation)
        }
        return selection.merged(type)
    }

    private static func coalesce(
        _ items: [Plan], _ type: SQLType, _ frame: Frame, _ evaluation: inout Evaluation
    ) -> Vector {
        var selection = Selection(count: frame.count)
        var open = places(frame.count)
        for item in items where !open.isEmpty || selection.sources.isEmpty {
            let whole = item.isLeaf || open.count == frame.count
            let vector = selection.take(item, at: open, of: frame, &evaluation)
            var left: [Int32] = []
            for (index, row) in open.enumerated() {
                let place = vector.isConstant ? 0 : (whole ? Int(row) : index)
                if vector.valid[place] == 0 { left.append(row) }
            }
            open = left
        }
        return selection.merged(type)
    }
}
