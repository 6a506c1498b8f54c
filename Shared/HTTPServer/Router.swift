public import HTTP

/// Finds the route of a request: a prefix tree over the segments of the patterns, matched on the path's octets.
///
/// A literal segment goes before a parameter, whatever the order of the routes. Segments are compared after
/// percent-decoding, so `%2F` never separates. A trailing or doubled slash is part of no pattern: 404.
public struct Router: Sendable {
    /// What a path and a method lead to.
    public enum Match: Sendable {
        /// The route's place in `routes`.
        case route(Int, PathParameters)
        /// The path is known, the method is not; these are, in the form of an `Allow` field.
        case otherMethods(allow: String)
        case none
    }

    private struct Endpoint: Sendable {
        let method: HTTPMethod
        let route: Int
        let names: [String]
    }

    /// The endpoints of one path: a handful, searched one by one.
    private struct Endpoints: Sendable {
        private(set) var all: [Endpoint] = []

        func index(of method: HTTPMethod) -> Int? {
            for index in all.indices where all[index].method == method { return index }
            return nil
        }

        /// False if there is one for the method.
        mutating func add(_ endpoint: Endpoint) -> Bool {
            guard index(of: endpoint.method) == nil else { return false }
            all.append(endpoint)
            return true
        }
    }

    /// Where a path leads: a node, by its own endpoints or by those for all the rest of the path.
    private struct Place {
        let node: Int
        let isRest: Bool
    }

    private struct Node: Sendable {
        var literals: [(segment: [UInt8], node: Int)] = []
        var parameter: Int?
        var rest = Endpoints()
        var endpoints = Endpoints()
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
        guard let place = find(path, from: start, node: 0, &captured) else { return .none }
        return try place.isRest
            ? match(head, in: nodes[place.node].rest, captured) : match(head, in: nodes[place.node].endpoints, captured)
    }

    private func match(
        _ head: HTTPRequestHead, in found: Endpoints, _ captured: [Range<Int>]
    ) throws(Problem) -> Match {
        guard let index = Router.index(of: head.method, in: found) else {
            return .otherMethods(allow: Router.allow(found.all.map(\.method)))
        }
        var parameters = PathParameters()
        for place in captured.indices {
            guard let value = PercentEncoding.decode(head.pathBytes[captured[place]]) else {
                throw Problem(.invalidPath, "the path is not percent-encoded UTF-8, or has U+0000")
            }
            parameters.append(found.all[index].names[place], value)
        }
        return .route(found.all[index].route, parameters)
    }

    /// The `Allow` field for `OPTIONS *`.
    public var allMethods: String {
        Router.allow(routes.map(\.method))
    }
}

extension Router {
    private mutating func add(_ index: Int) {
        let route = routes[index]
        let pattern = RoutePattern(route.pattern)
        let endpoint = Endpoint(method: route.method, route: index, names: pattern.names)
        var node = 0
        for segment in pattern.segments {
            switch segment {
            case .literal(let text):
                node = literal(Array(text.utf8), of: node)
            case .parameter:
                node = parameter(of: node)
            case .rest:
                let isNew = nodes[node].rest.add(endpoint)
                precondition(isNew, "two routes for \(route.method) \(route.pattern)")
                return
            }
        }
        let isNew = nodes[node].endpoints.add(endpoint)
        precondition(isNew, "two routes for \(route.method) \(route.pattern)")
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

    /// Where the path from `start` on leads, with the segments captured on the way.
    ///
    /// It goes back where a literal led nowhere; the depth is that of the deepest pattern.
    private func find(
        _ path: ArraySlice<UInt8>, from start: Int, node: Int, _ captured: inout [Range<Int>]
    ) -> Place? {
        let isRoot = node == 0 && start == path.endIndex
        if start > path.endIndex || isRoot {
            return nodes[node].endpoints.all.isEmpty ? nil : Place(node: node, isRest: false)
        }
        let end = path[start...].firstIndex(of: UInt8(ascii: "/")) ?? path.endIndex
        if start < end {
            let segment = path[start..<end]
            for index in nodes[node].literals.indices
            where Router.matches(segment, nodes[node].literals[index].segment) {
                let child = nodes[node].literals[index].node
                if let found = find(path, from: end + 1, node: child, &captured) { return found }
                break
            }
            if let child = nodes[node].parameter {
                captured.append(start..<end)
                if let found = find(path, from: end + 1, node: child, &captured) { return found }
                captured.removeLast()
            }
        }
        guard !nodes[node].rest.all.isEmpty else { return nil }
        captured.append(start..<path.endIndex)
        return Place(node: node, isRest: true)
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
    private static func index(of method: HTTPMethod, in endpoints: Endpoints) -> Int? {
        endpoints.index(of: method) ?? (method == .head ? endpoints.index(of: .get) : nil)
    }

    private static func allow(_ methods: [HTTPMethod]) -> String {
        var names = Set(methods.map(\.description))
        if names.contains("GET") { names.insert("HEAD") }
        names.insert("OPTIONS")
        return names.sorted().joined(separator: ", ")
    }
}
