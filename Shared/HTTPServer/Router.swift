public import HTTP

/// Finds the route of a request: a prefix tree over the segments of the patterns, matched on the path's octets.
///
/// A literal segment goes before a parameter, whatever the order of the routes. Segments are compared after
/// percent-decoding, so `%2F` never separates. A trailing or doubled slash is part of no pattern: 404.
public struct Router: Sendable {
    /// What a path and a method lead to.
    public enum Match: Sendable {
        case route(Route, PathParameters, index: Int)
        /// The path is known, the method is not; these are, in the form of an `Allow` field.
        case otherMethods(allow: String)
        case none
    }

    private struct Endpoint: Sendable {
        let route: Int
        let names: [String]
    }

    private struct Node: Sendable {
        var literals: [(segment: [UInt8], node: Int)] = []
        var parameter: Int?
        var rest: [HTTPMethod: Endpoint] = [:]
        var endpoints: [HTTPMethod: Endpoint] = [:]
    }

    public let routes: [Route]
    private var nodes = [Node()]

    /// - Precondition: no two routes have the same method and the same pattern, names aside.
    public init(routes: [Route]) {
        self.routes = routes
        for index in routes.indices { add(index) }
    }

    /// Throws `invalid_path` when a segment does not decode.
    public func match(_ head: HTTPRequestHead) throws(Problem) -> Match {
        let path = head.pathBytes
        guard path.isEmpty || path.first == UInt8(ascii: "/") else { return .none }
        var captured: [Range<Int>] = []
        let start = path.startIndex + (path.isEmpty ? 0 : 1)
        guard let found = find(path, from: start, node: 0, &captured) else { return .none }
        guard let endpoint = Router.endpoint(head.method, in: found) else {
            return .otherMethods(allow: Router.allow(found))
        }
        var parameters = PathParameters()
        for (name, range) in zip(endpoint.names, captured) {
            guard let value = PercentEncoding.decode(path[range]) else {
                throw Problem(.invalidPath, "the path is not percent-encoded UTF-8")
            }
            parameters.append(name, value)
        }
        return .route(routes[endpoint.route], parameters, index: endpoint.route)
    }

    /// The `Allow` field for `OPTIONS *`.
    public var allMethods: String {
        Router.allow(Dictionary(routes.map { ($0.method, Endpoint(route: 0, names: [])) }) { first, _ in first })
    }
}

extension Router {
    private mutating func add(_ index: Int) {
        let route = routes[index]
        let pattern = RoutePattern(route.pattern)
        let endpoint = Endpoint(route: index, names: pattern.names)
        var node = 0
        for segment in pattern.segments {
            switch segment {
            case .literal(let text):
                node = literal(Array(text.utf8), of: node)
            case .parameter:
                node = parameter(of: node)
            case .rest:
                let previous = nodes[node].rest.updateValue(endpoint, forKey: route.method)
                precondition(previous == nil, "two routes for \(route.method) \(route.pattern)")
                return
            }
        }
        let previous = nodes[node].endpoints.updateValue(endpoint, forKey: route.method)
        precondition(previous == nil, "two routes for \(route.method) \(route.pattern)")
    }

    private mutating func literal(_ segment: [UInt8], of node: Int) -> Int {
        if let known = nodes[node].literals.first(where: { $0.segment == segment }) { return known.node }
        nodes.append(Node())
        nodes[node].literals.append((segment, nodes.count - 1))
        return nodes.count - 1
    }

    private mutating func parameter(of node: Int) -> Int {
        if let known = nodes[node].parameter { return known }
        nodes.append(Node())
        nodes[node].parameter = nodes.count - 1
        return nodes.count - 1
    }

    /// The endpoints of the node that the path from `start` on leads to, with the segments captured on the way.
    ///
    /// It goes back where a literal led nowhere; the depth is that of the deepest pattern.
    private func find(
        _ path: ArraySlice<UInt8>, from start: Int, node: Int, _ captured: inout [Range<Int>]
    ) -> [HTTPMethod: Endpoint]? {
        let isRoot = node == 0 && start == path.endIndex
        if start > path.endIndex || isRoot {
            return nodes[node].endpoints.isEmpty ? nil : nodes[node].endpoints
        }
        let end = path[start...].firstIndex(of: UInt8(ascii: "/")) ?? path.endIndex
        let segment = path[start..<end]
        if !segment.isEmpty {
            if let child = nodes[node].literals.first(where: { Router.matches(segment, $0.segment) })?.node,
                let found = find(path, from: end + 1, node: child, &captured)
            {
                return found
            }
            if let child = nodes[node].parameter {
                captured.append(start..<end)
                if let found = find(path, from: end + 1, node: child, &captured) { return found }
                captured.removeLast()
            }
        }
        guard !nodes[node].rest.isEmpty else { return nil }
        captured.append(start..<path.endIndex)
        return nodes[node].rest
    }

    private static func matches(_ segment: ArraySlice<UInt8>, _ literal: [UInt8]) -> Bool {
        if same(segment.span, literal.span) { return true }
        guard segment.contains(UInt8(ascii: "%")) else { return false }
        return PercentEncoding.decode(segment)?.utf8.elementsEqual(literal) ?? false
    }

    private static func same(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        for index in left.indices where left[index] != right[index] { return false }
        return true
    }

    /// HEAD is answered by GET's route where it has none of its own (RFC 9110, section 9.3.2).
    private static func endpoint(_ method: HTTPMethod, in endpoints: [HTTPMethod: Endpoint]) -> Endpoint? {
        endpoints[method] ?? (method == .head ? endpoints[.get] : nil)
    }

    private static func allow(_ endpoints: [HTTPMethod: Endpoint]) -> String {
        var methods = Set(endpoints.keys.map(\.description))
        if methods.contains("GET") { methods.insert("HEAD") }
        methods.insert("OPTIONS")
        return methods.sorted().joined(separator: ", ")
    }
}
