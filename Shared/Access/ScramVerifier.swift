import HTTP

/// What PostgreSQL keeps of a password (RFC 5803, as `pg_authid.rolpassword` has it), made here so that the password
/// itself never travels in a statement, where logs and activity views would show it.
enum ScramVerifier {
    static let iterations = 4096

    /// `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`. `password` is of ASCII letters and digits, which SASLprep leaves
    /// alone; `salt` has 16 bytes.
    static func text(password: String, salt: [UInt8]) -> String {
        let salted = OpenSSL.pbkdf2(password: Array(password.utf8), salt: salt, iterations: iterations)
        let storedKey = OpenSSL.sha256(OpenSSL.hmacSHA256(key: salted, Array("Client Key".utf8)))
        let serverKey = OpenSSL.hmacSHA256(key: salted, Array("Server Key".utf8))
        return "SCRAM-SHA-256$\(iterations):\(base64(salt))$\(base64(storedKey)):\(base64(serverKey))"
    }

    /// The common alphabet, with padding (RFC 4648, section 4).
    private static func base64(_ bytes: [UInt8]) -> String {
        let digits = Base64URL.encode(bytes).map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 }
        return String(digits) + String(repeating: "=", count: (4 - digits.count % 4) % 4)
    }
}
