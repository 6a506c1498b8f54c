/// One function or operator on given argument types.
struct Signature: Sendable {
    /// Throws where a literal cannot be what the function wants.
    typealias LiteralCheck = @Sendable (Bytes) throws(Fault) -> Void

    let arguments: [SQLType]
    let result: SQLType
    let kernel: Kernel
    /// The places of arguments that PostgreSQL takes as int4.
    private(set) var narrow: Set<Int> = []
    /// What looks at a text argument that is a literal when the expression is compiled, by place.
    private(set) var checks: [Int: LiteralCheck] = [:]

    init(_ arguments: SQLType..., result: SQLType, _ kernel: Kernel) {
        self.init(of: arguments, result: result, kernel)
    }

    init(of arguments: [SQLType], result: SQLType, _ kernel: Kernel) {
        self.arguments = arguments
        self.result = result
        self.kernel = kernel
    }

    func int4(_ places: Int...) -> Signature { int4(places) }

    func int4(_ places: [Int]) -> Signature {
        var signature = self
        signature.narrow = Set(places)
        return signature
    }

    func checking(_ place: Int, _ check: @escaping LiteralCheck) -> Signature {
        var signature = self
        signature.checks[place] = check
        return signature
    }
}

/// PostgreSQL's choice among functions or operators of one name ("Type Conversion" in its manual, `parse_func.c`).
enum Resolution {
    case found(Signature)
    case none
    case ambiguous

    private enum Category { case numeric, string, boolean, dateTime, timespan, array, user }

    static func resolve(_ candidates: [Signature], _ inputs: [SQLType]) -> Resolution {
        let candidates = candidates.filter { $0.arguments.count == inputs.count }
        if let exact = candidates.first(where: { $0.arguments == inputs }) { return .found(exact) }
        // An operator with one literal: try it as the other side's type.
        if inputs.count == 2, inputs.contains(.unknown), let known = inputs.first(where: { $0 != .unknown }),
            let same = candidates.first(where: { $0.arguments == [known, known] })
        {
            return .found(same)
        }
        var rest = candidates.filter { candidate in
            zip(inputs, candidate.arguments).allSatisfy { Conversion.isImplicit($0, $1) }
        }
        if rest.count <= 1 { return rest.first.map(Resolution.found) ?? .none }
        rest = best(rest) { candidate in
            zip(inputs, candidate.arguments).count { $0 != .unknown && $0 == $1 }
        }
        if rest.count == 1 { return .found(rest[0]) }
        rest = best(rest) { candidate in
            zip(inputs, candidate.arguments).count { $0 != .unknown && ($0 == $1 || isPreferred($1)) }
        }
        if rest.count == 1 { return .found(rest[0]) }
        guard inputs.contains(.unknown) else { return .ambiguous }
        return resolveUnknowns(rest, inputs)
    }

    /// Keeps the candidates with the highest score.
    private static func best(_ candidates: [Signature], _ score: (Signature) -> Int) -> [Signature] {
        let highest = candidates.map(score).max() ?? 0
        return candidates.filter { score($0) == highest }
    }

    /// Guesses the categories of literals: text if any candidate takes it there, else what all agree on.
    private static func resolveUnknowns(_ candidates: [Signature], _ inputs: [SQLType]) -> Resolution {
        var rest = candidates
        var isDecided = true
        for place in inputs.indices where inputs[place] == .unknown {
            let categories = rest.map { category($0.arguments[place]) }
            let wanted: Category
            if categories.contains(.string) {
                wanted = .string
            } else if categories.allSatisfy({ $0 == categories[0] }) {
                wanted = categories[0]
            } else if categories.allSatisfy({ $0 == .dateTime || $0 == .timespan }) {
                // PostgreSQL finds this ambiguous; but untyped fields shall do as points in time.
                wanted = .dateTime
            } else {
                isDecided = false
                continue
            }
            rest = rest.filter { category($0.arguments[place]) == wanted }
            if rest.contains(where: { isPreferred($0.arguments[place]) }) {
                rest = rest.filter { isPreferred($0.arguments[place]) }
            }
        }
        if isDecided, rest.count == 1 { return .found(rest[0]) }
        let known = Set(inputs.filter { $0 != .unknown })
        if known.count == 1, let type = known.first {
            let same = candidates.filter { candidate in
                zip(inputs, candidate.arguments).allSatisfy { $0 != .unknown || Conversion.isImplicit(type, $1) }
            }
            if same.count == 1 { return .found(same[0]) }
        }
        return .ambiguous
    }

    private static func category(_ type: SQLType) -> Category {
        switch type {
        case .int8, .float8, .numeric: .numeric
        case .text, .unknown: .string
        case .bool: .boolean
        case .date, .timestamptz, .timestamp: .dateTime
        case .interval: .timespan
        case .textArray: .array
        case .uuid, .jsonb, .bytea: .user
        }
    }

    private static func isPreferred(_ type: SQLType) -> Bool {
        [.float8, .text, .bool, .timestamptz, .interval].contains(type)
    }

    /// The type that CASE, COALESCE and the like give, nil where two do not meet. Literals alone are text.
    static func commonType(_ types: [SQLType]) -> (type: SQLType?, conflict: SQLType?) {
        var common = SQLType.unknown
        for type in types where type != .unknown && type != common {
            if common == .unknown {
                common = type
            } else if category(type) != category(common) {
                return (nil, type)
            } else if !isPreferred(common), Conversion.isImplicit(common, type), !Conversion.isImplicit(type, common) {
                common = type
            }
        }
        let result = common == .unknown ? .text : common
        if let conflict = types.first(where: { !Conversion.isImplicit($0, result) }) { return (nil, conflict) }
        return (result, nil)
    }
}
