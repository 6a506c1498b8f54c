import Records

/// By what text is ordered and its case known.
enum TextCollation: Hashable {
    /// "C": by bytes, and the case of ASCII letters alone.
    case bytes
    /// `und-x-icu`: by language, as ICU's root locale has it. Only PostgreSQL knows it.
    case unicode
}

extension Checker {
    /// The collation of an operation over these values: that of the text columns in them, and of texts whose case or
    /// order was asked for before. Nil where there is none: then it is "C" too, where PostgreSQL would take the
    /// database's.
    func collation(of plans: [Plan], at position: Int) throws(ExpressionError) -> TextCollation? {
        let all = plans.reduce(into: Set<TextCollation>()) { $0.formUnion(collations(of: $1)) }
        guard all.count <= 1 else {
            throw ExpressionError(
                "could not determine which collation to use: text of \"C\" and of \"und-x-icu\" meets here",
                position: position)
        }
        return all.first
    }

    private func collations(of plan: Plan) -> Set<TextCollation> {
        guard plan.type == .text || plan.type == .textArray else { return [] }
        switch plan {
        case .constant, .logical: return []
        case .field(let name, _):
            if schema.unicode.contains(name) { return [.unicode] }
            return schema[name] == .typed(.text) ? [.bytes] : []
        case .call(let kernel, let arguments, _):
            if kernel.collation == .bytes { return [.bytes] }
            let found = collations(of: arguments)
            return found.isEmpty && kernel.collation == .ofOperandsOrBytes ? [.bytes] : found
        case .choose(let branches, let otherwise, _): return collations(of: branches.map(\.value) + [otherwise])
        case .coalesce(let items, _): return collations(of: items)
        }
    }

    private func collations(of plans: [Plan]) -> Set<TextCollation> {
        plans.reduce(into: []) { $0.formUnion(collations(of: $1)) }
    }

    /// Notes where a function asks for the order or the case of text of `und-x-icu`.
    mutating func collate(_ name: String, _ plans: [Plan], at position: Int) throws(ExpressionError) {
        switch name {
        case "lower", "upper", "initcap": try collate(plans, at: position)
        // Insensitive to it; but PostgreSQL wants to know it.
        case "strpos", "position", "replace", "split_part", "starts_with": _ = try collation(of: plans, at: position)
        default: break
        }
    }

    /// The same of an operation that asks for the order or the case of these.
    mutating func collate(_ plans: [Plan], at position: Int) throws(ExpressionError) {
        if try collation(of: plans, at: position) == .unicode { note(unicode: position) }
    }
}
