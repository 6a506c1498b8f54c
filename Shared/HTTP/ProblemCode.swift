/// The registry of problem codes: every `code` an answer of the platform can carry, with its status and title.
///
/// A code is permanent: clients tell errors apart by it. The same code always has the same status.
public struct ProblemCode: Sendable, Hashable {
    /// Snake case, stable.
    public let name: String
    public let status: HTTPStatus
    /// A short sentence for people, the same for every occurrence.
    public let title: String

    private init(_ name: String, _ status: HTTPStatus, _ title: String) {
        self.name = name
        self.status = status
        self.title = title
    }

    public static func == (left: ProblemCode, right: ProblemCode) -> Bool { left.name == right.name }
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

// MARK: - The request as HTTP

extension ProblemCode {
    public static let malformedRequest = ProblemCode("malformed_request", 400, "The bytes are no HTTP request")
    public static let requestTimeout = ProblemCode("request_timeout", 408, "The request came too slowly")
    public static let incompleteBody = ProblemCode("incomplete_body", 400, "The body ended before its length")
    public static let targetTooLong = ProblemCode("target_too_long", 414, "The request line is too long")
    public static let headersTooLarge = ProblemCode("headers_too_large", 431, "The header fields are too large")
    public static let payloadTooLarge = ProblemCode("payload_too_large", 413, "The body is too large")
    public static let expectationFailed = ProblemCode("expectation_failed", 417, "The expectation is unknown")
    public static let notImplemented = ProblemCode("not_implemented", 501, "This part of HTTP is not supported")
    public static let versionNotSupported = ProblemCode(
        "http_version_not_supported", 505, "The HTTP version is not supported")
    public static let notFound = ProblemCode("not_found", 404, "There is no such resource")
    public static let methodNotAllowed = ProblemCode("method_not_allowed", 405, "The resource has no such method")
    public static let notAcceptable = ProblemCode("not_acceptable", 406, "No format that the client accepts")
    public static let unsupportedMediaType = ProblemCode(
        "unsupported_media_type", 415, "The body's type or encoding is not supported")
    public static let rangeNotSatisfiable = ProblemCode(
        "range_not_satisfiable", 416, "No range lies within the content")
    public static let invalidEncoding = ProblemCode(
        "invalid_encoding", 400, "The body does not decode by its Content-Encoding")
    public static let upgradeRequired = ProblemCode("upgrade_required", 426, "The resource speaks WebSocket only")
}

// MARK: - The request's content

extension ProblemCode {
    public static let invalidRequest = ProblemCode("invalid_request", 422, "The request's content is not valid")
    public static let invalidParameter = ProblemCode("invalid_parameter", 400, "A query parameter is not valid")
    public static let invalidPath = ProblemCode("invalid_path", 400, "The path is not valid")
    public static let invalidHeader = ProblemCode("invalid_header", 400, "A header field is not valid")
    public static let invalidCursor = ProblemCode("invalid_cursor", 400, "The cursor is not one of this list")
    public static let invalidJSON = ProblemCode("invalid_json", 400, "The body is not valid JSON")
    public static let unknownField = ProblemCode("unknown_field", 422, "The request has a field that is unknown")
    public static let invalidName = ProblemCode("invalid_name", 422, "The name is not valid")
    public static let emptyBody = ProblemCode("empty_body", 400, "The body is empty")
    public static let malformedBody = ProblemCode("malformed_body", 400, "The body cannot be cut into records")
    public static let preconditionFailed = ProblemCode(
        "precondition_failed", 412, "The resource is not the one that If-Match names")
    public static let confirmationRequired = ProblemCode(
        "confirmation_required", 422, "The deletion must be confirmed by the name")
}

// MARK: - Who asks, and how much

extension ProblemCode {
    public static let unauthorized = ProblemCode("unauthorized", 401, "A valid key is required")
    public static let forbidden = ProblemCode("forbidden", 403, "The key's scopes do not allow this")
    public static let crossSiteRequest = ProblemCode(
        "cross_site_request", 403, "The session's cookie counts for its own site's pages only")
    public static let invalidScope = ProblemCode("invalid_scope", 422, "A scope is not one that can be given")
    public static let rateLimited = ProblemCode("rate_limited", 429, "Too many requests")
    public static let lagging = ProblemCode("lagging", 429, "The source's records are not processed fast enough")
    public static let storageFull = ProblemCode("storage_full", 503, "The landing area is full")
    public static let tooManyConnections = ProblemCode("too_many_connections", 503, "Too many connections")
}

// MARK: - Resources and their states

extension ProblemCode {
    public static let conflict = ProblemCode("conflict", 409, "The resource's state forbids this")
    public static let alreadyExists = ProblemCode("already_exists", 409, "The resource exists already")
    public static let lastAdminKey = ProblemCode(
        "last_admin_key", 409, "The workspace has no other key to administer it")
    public static let inUse = ProblemCode("in_use", 409, "Other resources depend on the resource")
    public static let incompatibleChange = ProblemCode(
        "incompatible_change", 409, "Stored data forbids the change")
    public static let rawExpired = ProblemCode("raw_expired", 409, "The raw bytes have expired")
    public static let idempotencyInProgress = ProblemCode(
        "idempotency_in_progress", 409, "A request with this Idempotency-Key is still in progress")
    public static let idempotencyMismatch = ProblemCode(
        "idempotency_mismatch", 422, "The Idempotency-Key was used with another body")
    public static let receiptFailed = ProblemCode("receipt_failed", 500, "The records could not be stored")
    public static let uploadExpired = ProblemCode("upload_expired", 409, "The upload was given up")
    public static let outOfSequence = ProblemCode("out_of_sequence", 409, "A message of the stream is missing")
    public static let streamTakenOver = ProblemCode(
        "stream_taken_over", 409, "Another connection goes on with the stream")
}

// MARK: - Definitions, expressions and queries

extension ProblemCode {
    public static let invalidPipeline = ProblemCode("invalid_pipeline", 422, "The pipeline is not valid")
    public static let invalidSchedule = ProblemCode("invalid_schedule", 422, "The schedule is not valid")
    public static let invalidExpression = ProblemCode("invalid_expression", 422, "The expression is not valid")
    public static let invalidSource = ProblemCode("invalid_source", 422, "The source's settings are not valid")
    public static let invalidDataset = ProblemCode("invalid_dataset", 422, "The dataset's definition is not valid")
    public static let invalidEndpoint = ProblemCode("invalid_endpoint", 422, "The endpoint is not valid")
    public static let invalidRollup = ProblemCode("invalid_rollup", 422, "The rollup is not valid")
    public static let invalidQuery = ProblemCode("invalid_query", 422, "The query is not valid")
    public static let invalidDashboard = ProblemCode("invalid_dashboard", 422, "The dashboard is not valid")
    public static let queryNotAllowed = ProblemCode("query_not_allowed", 403, "The query is not one that is allowed")
    public static let queryFailed = ProblemCode("query_failed", 422, "The query failed on the data")
    public static let queryTooLarge = ProblemCode("query_too_large", 422, "The query needs more than one may take")
    public static let queryTimeout = ProblemCode("query_timeout", 504, "The query took too long")
    public static let queryUnavailable = ProblemCode("query_unavailable", 503, "Queries cannot be isolated here")
}

// MARK: - The platform itself

extension ProblemCode {
    public static let databaseUnavailable = ProblemCode(
        "database_unavailable", 503, "The database cannot be reached")
    public static let issuerUnavailable = ProblemCode(
        "issuer_unavailable", 503, "The token issuer's keys cannot be fetched")
    public static let overloaded = ProblemCode("overloaded", 503, "The service is busy")
    public static let shuttingDown = ProblemCode("shutting_down", 503, "The service is shutting down")
    public static let notReady = ProblemCode("not_ready", 503, "The service is not ready")
    public static let timeout = ProblemCode("timeout", 504, "The work took too long")
    public static let internalError = ProblemCode("internal", 500, "Something went wrong here")
}

// MARK: - The gateway, where no service answers (deploy/gateway/gateway.js)

extension ProblemCode {
    public static let badGateway = ProblemCode("bad_gateway", 502, "The service cannot be reached")
    public static let serviceUnavailable = ProblemCode("service_unavailable", 503, "A service is not there")
    public static let gatewayTimeout = ProblemCode("gateway_timeout", 504, "The service did not answer in time")
}

extension ProblemCode {
    /// Every code there is; a test holds them to be unique.
    public static let all: [ProblemCode] = [
        malformedRequest, requestTimeout, incompleteBody, targetTooLong, headersTooLarge, payloadTooLarge,
        expectationFailed, notImplemented, versionNotSupported, notFound, methodNotAllowed, notAcceptable,
        unsupportedMediaType, rangeNotSatisfiable, invalidEncoding, upgradeRequired, invalidRequest, invalidParameter,
        invalidPath, invalidHeader, invalidCursor, invalidJSON, unknownField, invalidName, emptyBody, malformedBody,
        preconditionFailed, confirmationRequired, unauthorized, forbidden, crossSiteRequest, invalidScope, lastAdminKey,
        rateLimited, lagging,
        storageFull, tooManyConnections, conflict, alreadyExists, inUse, incompatibleChange, rawExpired,
        idempotencyInProgress,
        idempotencyMismatch, receiptFailed, uploadExpired, outOfSequence, streamTakenOver, invalidPipeline,
        invalidSchedule, invalidExpression, invalidSource, invalidDataset, invalidEndpoint, invalidRollup, invalidQuery,
        invalidDashboard, queryNotAllowed, queryFailed, queryTooLarge, queryTimeout, queryUnavailable,
        databaseUnavailable,
        issuerUnavailable, overloaded,
        shuttingDown, notReady, timeout,
        internalError, badGateway,
        serviceUnavailable, gatewayTimeout,
    ]
}
