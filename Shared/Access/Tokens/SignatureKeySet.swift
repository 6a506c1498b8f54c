import HTTP
import JSON

/// The keys that an issuer publishes (JWK Set, RFC 7517), as far as they are for signatures that are taken here.
struct SignatureKeySet: Sendable {
    static let longest = 100

    /// Without an id a key serves tokens that name none.
    private var keys: [(id: String?, key: SignatureKey)] = []

    init() {}

    var isEmpty: Bool { keys.isEmpty }

    /// Keys of other kinds and uses, and those that are broken, are left out, as RFC 7517 (section 5) has it. Nil for
    /// what is no set.
    init?(_ text: [UInt8]) {
        guard let json = try? JSONValue.parse(text), let items = json["keys"]?.array else { return nil }
        keys = items.prefix(Self.longest).compactMap { item in
            guard item.object != nil, item["use"].map({ $0.string == "sig" }) ?? true,
                item["key_ops"].map({ $0.array?.contains("verify") ?? false }) ?? true,
                let key = Self.key(item), item["alg"].map({ $0.string == key.algorithm.rawValue }) ?? true
            else { return nil }
            return (item["kid"]?.string, key)
        }
    }

    /// The key that a token names, if it is for the token's algorithm. A token that names none has the only one for it.
    func key(_ id: String?, for algorithm: SignatureKey.Algorithm) -> SignatureKey? {
        let fitting = keys.filter { $0.key.algorithm == algorithm && (id == nil || $0.id == id) }
        return fitting.count == 1 ? fitting[0].key : nil
    }

    private static func key(_ item: JSONValue) -> SignatureKey? {
        func octets(_ name: String) -> [UInt8]? { item[name]?.string.flatMap(Base64URL.decode) }
        switch item["kty"]?.string {
        case "RSA":
            guard let modulus = octets("n"), let exponent = octets("e") else { return nil }
            return SignatureKey(modulus: modulus, exponent: exponent)
        case "EC" where item["crv"] == "P-256":
            guard let x = octets("x"), let y = octets("y") else { return nil }
            return SignatureKey(x: x, y: y)
        default: return nil
        }
    }
}
