/// A JSON object that keeps its members' order; of a repeated key the last value counts.
public struct JSONObject: Sendable, Hashable {
    /// One member of an object.
    public struct Member: Sendable, Hashable {
        public let key: String
        public var value: JSONValue
    }

    public private(set) var members: [Member] = []
    /// Positions by key, kept only once a linear search would cost more.
    private var positions: [String: Int] = [:]
    private static let linearLimit = 16

    public init() {}

    public init(_ members: [(String, JSONValue)]) {
        for (key, value) in members { self[key] = value }
    }

    public var count: Int { members.count }
    public var isEmpty: Bool { members.isEmpty }
    public var keys: [String] { members.map(\.key) }

    /// The member's value; setting nil removes it, setting another keeps a known key's place.
    public subscript(key: String) -> JSONValue? {
        get {
            position(of: key).map { members[$0].value }
        }
        set {
            switch (position(of: key), newValue) {
            case (let at?, let value?): members[at].value = value
            case (nil, let value?): append(key, value)
            case (let at?, nil): remove(at)
            case (nil, nil): break
            }
        }
    }

    /// Same members with the same values, in any order.
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count && left.members.allSatisfy { right[$0.key] == $0.value }
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(members.count)
        var combined = 0
        for member in members { combined ^= member.hashValue }
        hasher.combine(combined)
    }

    private func position(of key: String) -> Int? {
        members.count <= Self.linearLimit ? members.firstIndex { $0.key == key } : positions[key]
    }

    private mutating func append(_ key: String, _ value: JSONValue) {
        members.append(Member(key: key, value: value))
        if members.count == Self.linearLimit + 1 {
            reindex()
        } else if members.count > Self.linearLimit {
            positions[key] = members.count - 1
        }
    }

    private mutating func remove(_ at: Int) {
        members.remove(at: at)
        positions = [:]
        if members.count > Self.linearLimit { reindex() }
    }

    private mutating func reindex() {
        for (at, member) in members.enumerated() { positions[member.key] = at }
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self.init(elements)
    }
}
