import HTTP
import JSON
import Testing

@Suite struct ProblemTests {
    @Test func codesAreUniqueSnakeCaseAndComplete() {
        let names = ProblemCode.all.map(\.name)
        #expect(Set(names).count == names.count)
        for code in ProblemCode.all {
            #expect(code.name.utf8.allSatisfy { $0 &- 0x61 < 26 || $0 &- 0x30 < 10 || $0 == 0x5F }, "\(code.name)")
            #expect(code.name.first != "_" && code.name.last != "_")
            #expect((400...599).contains(code.status.code))
            #expect(!code.status.reason.isEmpty, "\(code.name) has a status without a phrase")
            #expect(!code.title.isEmpty && code.title.last != ".")
        }
    }

    @Test(arguments: [
        ("empty_body", 400), ("unsupported_media_type", 415), ("not_found", 404), ("unauthorized", 401),
        ("forbidden", 403), ("raw_expired", 409), ("idempotency_in_progress", 409), ("idempotency_mismatch", 422),
        ("storage_full", 503), ("lagging", 429), ("rate_limited", 429), ("payload_too_large", 413),
        ("database_unavailable", 503), ("receipt_failed", 500), ("incompatible_change", 409),
        ("precondition_failed", 412), ("range_not_satisfiable", 416), ("invalid_json", 400), ("invalid_name", 422),
        ("internal", 500),
    ])
    func theContractsCodesHaveItsStatuses(_ name: String, _ status: Int) {
        #expect(ProblemCode.all.first { $0.name == name }?.status.code == status)
    }

    @Test func writesTheDocument() throws {
        let problem = Problem(
            .invalidQuery, "syntax error", errors: [FieldFault(path: "sql", message: "at \"x\"")],
            retryAfter: .milliseconds(1500), extensions: [("sqlstate", "42601"), ("position", 8)])
        let document = try JSONValue.parse(problem.body())
        #expect(document["type"] == "urn:millrace:problem:invalid_query")
        #expect(document["title"] == "The query is not valid")
        #expect(document["status"] == 422)
        #expect(document["detail"] == "syntax error")
        #expect(document["code"] == "invalid_query")
        #expect(document["errors"] == [["path": "sql", "message": "at \"x\""]])
        #expect(document["sqlstate"] == "42601")
        #expect(document["position"] == 8)
        #expect(problem.responseHeaders["Retry-After"] == "2")
        #expect(problem.responseHeaders["content-type"] == "application/problem+json")
    }

    @Test func retryAfterIsAtLeastOneSecond() {
        #expect(Problem(.lagging, "", retryAfter: .zero).responseHeaders["retry-after"] == "1")
        #expect(Problem(.lagging, "", retryAfter: .seconds(7)).responseHeaders["retry-after"] == "7")
        #expect(Problem(.lagging, "").responseHeaders["retry-after"] == nil)
    }

    @Test func unauthorizedNamesTheScheme() {
        #expect(Problem(.unauthorized, "").responseHeaders["www-authenticate"] == "Bearer")
    }

    @Test func mapsWhatReadersThrow() {
        let unknown = FieldFaults([FieldFault(path: "a", message: "unknown field")])
        #expect(Problem(unknown).code == .unknownField)
        let mixed = FieldFaults(unknown.faults + [FieldFault(path: "b", message: "missing")])
        #expect(Problem(mixed).code == .invalidRequest)
        #expect(Problem(mixed).errors.count == 2)
        do {
            _ = try JSONValue.parse("{\n!")
        } catch {
            #expect(Problem(error).code == .invalidJSON)
            #expect(Problem(error).extensions["line"] == 2)
        }
    }
}
