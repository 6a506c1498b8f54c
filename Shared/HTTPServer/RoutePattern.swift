/// A route's path pattern: literal segments, `{name}` for any one segment, and `{name...}`, last, for all the rest.
struct RoutePattern {
    enum Segment: Hashable {
        case literal(String)
        case parameter(String)
        case rest(String)
    }

    let segments: [Segment]

    /// - Precondition: the pattern begins with `/`, names are unique, and the rest comes last.
    init(_ pattern: String) {
        precondition(pattern.hasPrefix("/"), "the pattern \(pattern) does not begin with /")
        segments = pattern.dropFirst().split(separator: "/", omittingEmptySubsequences: true).map { part in
            guard part.hasPrefix("{"), part.hasSuffix("}") else { return .literal(String(part)) }
            let name = part.dropFirst().dropLast()
            return name.hasSuffix("...") ? .rest(String(name.dropLast(3))) : .parameter(String(name))
        }
        precondition(Set(names).count == names.count, "the pattern \(pattern) repeats a name")
        let restIsLast = segments.dropLast().allSatisfy { if case .rest = $0 { false } else { true } }
        precondition(restIsLast, "the pattern \(pattern) goes on after its rest")
    }

    /// The names in the order of their segments.
    var names: [String] {
        segments.compactMap { segment in
            switch segment {
            case .literal: nil
            case .parameter(let name), .rest(let name): name
            }
        }
    }
}
