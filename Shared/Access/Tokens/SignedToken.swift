import HTTP
import JSON

/// A JSON Web Token (RFC 7519) in the compact form (RFC 7515), read but not believed.
struct SignedToken: Sendable {
    /// Octets of a token.
    static let longest = 8192

    /// Why a text is no token that is taken here; for the answer's detail, without anything of the token.
    struct Fault: Error, Equatable {
        let reason: String
    }

    let algorithm: SignatureKey.Algorithm
    let keyID: String?
    let claims: JSONObject
    let signature: [UInt8]
    /// What is signed.
    let message: [UInt8]

    /// Three parts of base64url without padding, of which the first two are JSON objects without repeated members. The
    /// algorithm is one of the two that are taken; what a header marks as critical is not understood here.
    init(_ text: [UInt8]) throws(Fault) {
        guard text.count <= Self.longest else { throw Fault(reason: "the token is too long") }
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw Fault(reason: "the token has not three parts") }
        let header = try Self.object(parts[0], "header")
        guard let name = header["alg"]?.string, let algorithm = SignatureKey.Algorithm(rawValue: name) else {
            throw Fault(reason: "the token's alg is neither RS256 nor ES256")
        }
        guard header["crit"] == nil else { throw Fault(reason: "the token's header has crit") }
        if let kid = header["kid"] {
            guard let text = kid.string, text.utf8.count <= 255 else {
                throw Fault(reason: "the token's kid is no text")
            }
            keyID = text
        } else {
            keyID = nil
        }
        self.algorithm = algorithm
        claims = try Self.object(parts[1], "claims")
        guard let signature = Self.octets(parts[2]), !signature.isEmpty else {
            throw Fault(reason: "the token's signature is not base64url")
        }
        self.signature = signature
        message = Array(text[..<parts[1].endIndex])
    }

    /// Whether a text may be a token: no key has a dot.
    static func mayBe(_ text: ArraySlice<UInt8>) -> Bool {
        text.count(where: { $0 == UInt8(ascii: ".") }) == 2
            && text.allSatisfy { Base64URL.isDigit($0) || $0 == UInt8(ascii: ".") }
    }

    private static func object(_ part: ArraySlice<UInt8>, _ name: String) throws(Fault) -> JSONObject {
        guard let octets = octets(part),
            let object = (try? JSONValue.parse(octets, depthLimit: 16, refusesRepeatedKeys: true))?.object
        else { throw Fault(reason: "the token's \(name) is no JSON object with each member once") }
        return object
    }

    private static func octets(_ part: ArraySlice<UInt8>) -> [UInt8]? {
        Base64URL.decode(String(decoding: part, as: UTF8.self))
    }
}
