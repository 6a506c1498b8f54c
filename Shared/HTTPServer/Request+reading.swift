public import HTTP
public import JSON

extension Request {
    /// The most octets of a JSON body that describes something, unless a route says otherwise.
    public static let jsonLimit = 1024 * 1024

    /// The query's reader; call its `finish()` once all that is known has been read.
    public func query() throws(Problem) -> QueryFields {
        try QueryFields(head)
    }

    /// For what cannot be undone: throws `confirmation_required` unless `?confirm=` repeats the name of what it is
    /// about. Reads the whole query.
    public func requireConfirmation(of name: String) throws(Problem) {
        let query = try query()
        let confirmation = query.string("confirm")
        try query.finish()
        guard confirmation == name else {
            throw Problem(.confirmationRequired, "this cannot be undone; repeat it with ?confirm=\(name)")
        }
    }

    /// The most octets of an `Idempotency-Key`.
    public static let idempotencyKeyLimit = 255

    /// The `Idempotency-Key`, if there is one. Throws `invalid_header` where it is empty or too long.
    public func idempotencyKey() throws(Problem) -> String? {
        guard let key = head["idempotency-key"] else { return nil }
        guard (1...Self.idempotencyKeyLimit).contains(key.utf8.count) else {
            throw Problem(.invalidHeader, "Idempotency-Key must have 1 to \(Self.idempotencyKeyLimit) bytes")
        }
        return key
    }

    /// The body as JSON.
    ///
    /// Throws `unsupported_media_type` unless it is `application/json` in UTF-8 and not compressed, `empty_body`,
    /// `payload_too_large`, and `invalid_json` with line and column.
    public func json(limit: Int = Request.jsonLimit) async throws(Problem) -> JSONValue {
        try checkJSONType()
        let bytes = try await body.collect(limit: limit)
        guard !bytes.isEmpty else { throw Problem(.emptyBody, "a JSON body is needed") }
        do {
            return try JSONValue.parse(bytes)
        } catch {
            throw Problem(error)
        }
    }

    /// The strict reader of a body that is a JSON object.
    public func fields(limit: Int = Request.jsonLimit) async throws(Problem) -> JSONFields {
        JSONFields(try await json(limit: limit))
    }

    private func checkJSONType() throws(Problem) {
        let given = head["content-type"] ?? ""
        guard let type = MediaType(given), type.essence == "application/json", type.isUTF8 else {
            throw Problem(.unsupportedMediaType, "the body must be application/json in UTF-8, not \"\(given)\"")
        }
        guard head["content-encoding"].map({ $0.lowercased() == "identity" }) ?? true else {
            throw Problem(.unsupportedMediaType, "the body must not be compressed")
        }
    }
}
