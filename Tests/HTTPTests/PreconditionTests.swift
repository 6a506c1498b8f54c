import HTTP
import Testing

/// The resource is at `"v3"`, modified on Sun, 06 Nov 1994 08:49:37 GMT.
@Suite struct PreconditionTests {
    private static let date = "Sun, 06 Nov 1994 08:49:37 GMT"
    private static let before = "Sun, 06 Nov 1994 08:49:36 GMT"
    private static let after = "Sun, 06 Nov 1994 08:49:38 GMT"
    private static let modified: Int64 = 784_111_777
    private static let now: Int64 = 1_700_000_000

    private let settled = Validators(tag: EntityTag(version: 3), modified: modified, isSettled: true)
    /// Changed this very second: it has no tag yet, and its date is not told.
    private let fresh = Validators(tag: nil, modified: modified)

    struct Case: Sendable, CustomTestStringConvertible {
        let headers: HTTPHeaders
        let outcome: Preconditions.Outcome
        let method: HTTPMethod

        init(_ headers: HTTPHeaders, _ outcome: Preconditions.Outcome, _ method: HTTPMethod = .get) {
            self.headers = headers
            self.outcome = outcome
            self.method = method
        }

        var testDescription: String { "\(method) \(headers.fields.map { "\($0.name): \($0.value)" })" }
    }

    private static let notMatched = Preconditions.Outcome.failed("If-Match")
    private static let modifiedSince = Preconditions.Outcome.failed("If-Unmodified-Since")

    static let single = [
        Case([:], .hold),
        Case(["If-Match": "\"v3\""], .hold), Case(["If-Match": "*"], .hold),
        Case(["If-Match": "\"v1\", \"v3\""], .hold), Case(["If-Match": "\"v1\"", "if-match": "\"v3\""], .hold),
        Case(["If-Match": "\"v3-gzip\""], .hold), Case(["If-Match": "\"v2\""], notMatched),
        Case(["If-Match": "W/\"v3\""], notMatched), Case(["If-Match": "v3"], notMatched),
        Case(["If-Match": ""], notMatched), Case(["If-Match": "\"v2\", *"], notMatched),
        Case(["If-Match": "\"v3"], notMatched), Case(["If-Match": "\"v3\"x"], notMatched),
        // A comma within a tag separates nothing, and a backslash escapes nothing.
        Case(["If-Match": "\"a,\\\", \"v3\""], .hold), Case(["If-Match": "\"a, \"v3\""], notMatched),
        // The octets of a range are those of one coding.
        Case(["If-Match": "\"v3-gzip\"", "Range": "bytes=0-1"], notMatched),
        Case(["If-Match": "\"v3\"", "Range": "bytes=0-1"], .hold),
        Case(["If-Match": "\"v3-gzip\"", "Range": "bytes=0-1"], .hold, .head),
        Case(["If-Unmodified-Since": date], .hold), Case(["If-Unmodified-Since": after], .hold),
        Case(["If-Unmodified-Since": before], modifiedSince), Case(["If-Unmodified-Since": "yesterday"], .hold),
        Case(["If-Unmodified-Since": before, "if-unmodified-since": before], .hold),
        Case(["If-Unmodified-Since": "Sunday, 06-Nov-94 08:49:36 GMT"], modifiedSince),
        Case(["If-None-Match": "\"v3\""], .notModified), Case(["If-None-Match": "W/\"v3\""], .notModified),
        Case(["If-None-Match": "*"], .notModified), Case(["If-None-Match": "\"v1\", \"v3-zstd\""], .notModified),
        Case(["If-None-Match": "\"v3\""], .notModified, .head), Case(["If-None-Match": "\"v2\""], .hold),
        Case(["If-None-Match": "v3"], .hold), Case(["If-None-Match": "\"v3\""], .failed("If-None-Match"), .put),
        Case(["If-None-Match": "*"], .failed("If-None-Match"), .put), Case(["If-None-Match": "\"v2\""], .hold, .put),
        Case(["If-Modified-Since": date], .notModified), Case(["If-Modified-Since": after], .notModified),
        Case(["If-Modified-Since": before], .hold), Case(["If-Modified-Since": "1994-11-06"], .hold),
        Case(["If-Modified-Since": date], .notModified, .head), Case(["If-Modified-Since": date], .hold, .put),
        Case(["If-Modified-Since": date, "if-modified-since": date], .hold),
        Case(["If-Modified-Since": "Sun Nov  6 08:49:37 1994"], .notModified),
    ]

    @Test(arguments: single)
    func each(_ given: Case) throws {
        let head = try HTTPRequestHead(given.method, "/", headers: given.headers)
        #expect(Preconditions(head, now: PreconditionTests.now).evaluate(settled) == given.outcome)
    }

    /// Which goes before which (RFC 9110, section 13.2.2).
    static let combined = [
        Case(["If-Match": "\"v3\"", "If-Unmodified-Since": before], .hold),
        Case(["If-Match": "\"v2\"", "If-Unmodified-Since": date], notMatched),
        Case(["If-Match": "\"v2\"", "If-None-Match": "\"v3\""], notMatched),
        Case(["If-Match": "\"v3\"", "If-None-Match": "\"v3\""], .notModified),
        Case(["If-Match": "\"v3\"", "If-Modified-Since": date], .notModified),
        Case(["If-Unmodified-Since": before, "If-None-Match": "\"v3\""], modifiedSince),
        Case(["If-Unmodified-Since": date, "If-None-Match": "\"v3\""], .notModified),
        Case(["If-Unmodified-Since": date, "If-Modified-Since": date], .notModified),
        Case(["If-None-Match": "\"v2\"", "If-Modified-Since": date], .hold),
        Case(["If-None-Match": "\"v3\"", "If-Modified-Since": before], .notModified),
        Case(["If-None-Match": "junk", "If-Modified-Since": date], .hold),
    ]

    @Test(arguments: combined)
    func inOrder(_ given: Case) throws { try each(given) }

    static let ofFresh = [
        Case(["If-Match": "\"v3\""], notMatched), Case(["If-Match": "*"], .hold),
        Case(["If-None-Match": "\"v3\""], .hold), Case(["If-None-Match": "*"], .notModified),
        Case(["If-Modified-Since": date], .hold), Case(["If-Modified-Since": after], .hold),
        Case(["If-Unmodified-Since": before], modifiedSince), Case(["If-Unmodified-Since": date], .hold),
    ]

    @Test(arguments: ofFresh)
    func aVersionThatCannotBeToldMatchesNothing(_ given: Case) throws {
        let head = try HTTPRequestHead(given.method, "/", headers: given.headers)
        #expect(Preconditions(head, now: PreconditionTests.now).evaluate(fresh) == given.outcome)
    }

    @Test(
        arguments: [
            (nil, true, true), ("\"v3\"", true, false), ("\"v2\"", false, false), ("W/\"v3\"", false, false),
            ("\"v3-gzip\"", false, false), ("\"v3\", \"v3\"", false, false), ("*", false, false), (date, true, false),
            (before, false, false), (after, false, false), ("Sunday, 06-Nov-94 08:49:37 GMT", true, false),
            ("v3", false, false), ("", false, false),
        ] as [(String?, Bool, Bool)])
    func ifRange(_ value: String?, _ ofSettled: Bool, _ ofFresh: Bool) throws {
        let head = try HTTPRequestHead(.get, "/", headers: value.map { ["If-Range": $0] } ?? [:])
        let conditions = Preconditions(head, now: PreconditionTests.now)
        #expect(conditions.allowRange(settled) == ofSettled)
        #expect(conditions.allowRange(fresh) == ofFresh)
    }

    @Test func ifRangeIsGivenOnce() throws {
        let head = try HTTPRequestHead(.get, "/", headers: ["If-Range": "\"v3\"", "if-range": "\"v3\""])
        #expect(!Preconditions(head, now: PreconditionTests.now).allowRange(settled))
    }

    @Test(
        arguments: [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777), ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777), ("Wednesday, 15-Nov-23 00:00:00 GMT", 1_700_006_400),
            // Fifty years ahead of 2023 and no more.
            ("Sunday, 01-Jan-73 00:00:00 GMT", 3_250_454_400), ("Tuesday, 01-Jan-74 00:00:00 GMT", 126_230_400),
            ("Sun Nov 16 08:49:37 1994", 784_975_777), ("Sunday, 06-Nov-1994 08:49:37 GMT", nil),
            ("Sun, 06-Nov-94 08:49:37 GMT", nil), ("Sunday, 06-Nov-94 08:49:37 UTC", nil),
            ("Sunday, 31-Feb-94 08:49:37 GMT", nil), ("Sunday, 06-Nov-+4 08:49:37 GMT", nil),
            ("Sun Nov  6 08:49:37 19945", nil), ("Sun, +6 Nov 1994 08:49:37 GMT", nil),
            ("Sun, 06 Nov 1994 08:49:37 GMT, x", nil), ("now", nil), ("", nil),
        ] as [(String, Int64?)])
    func readsDates(_ text: String, _ seconds: Int64?) {
        #expect(HTTPDate.parse(text, now: PreconditionTests.now) == seconds)
    }
}
