import Testing

@testable import Access

@Suite struct ScopeSetTests {
    @Test func aScopeAllowsItself() {
        let scopes = ScopeSet(["ingest:write", "query"])
        #expect(scopes.allows("ingest:write"))
        #expect(scopes.allows("query"))
        for scope in ScopeSet.known where !scopes.names.contains(scope) { #expect(!scopes.allows(scope)) }
    }

    @Test func aWildcardAllowsItsKindOnly() {
        let scopes = ScopeSet(["datasets:*"])
        #expect(scopes.allows("datasets:read"))
        #expect(scopes.allows("datasets:write"))
        #expect(!scopes.allows("sources:read"))
        #expect(!scopes.allows("datasets"))
        #expect(!scopes.allows("datasetsx:read"))
        #expect(!ScopeSet(["*"]).allows("query"))
        #expect(!ScopeSet(["d*"]).allows("datasets:read"))
        #expect(!ScopeSet([":*"]).allows("datasets:read"))
    }

    @Test func writingDoesNotAllowReadingNorDoesReadingAllowRaw() {
        #expect(!ScopeSet(["datasets:write"]).allows("datasets:read"))
        #expect(!ScopeSet(["datasets:*"]).allows("raw:read"))
    }

    @Test func anAdministratorMayEverything() {
        for scope in ScopeSet.known { #expect(ScopeSet.administrator.allows(scope)) }
        #expect(!ScopeSet([]).allows("admin"))
    }

    @Test func unknownNamesAreFound() {
        #expect(ScopeSet.unknown(in: ScopeSet.known + ["datasets:*", "raw:*", "ingest:*"]).isEmpty)
        let wrong = ["", "*", "dataset:read", "datasets:", "admin:*", "query:*", "ADMIN", "datasets:read "]
        #expect(ScopeSet.unknown(in: wrong) == wrong)
    }

    @Test func onlyTheFirstWorkspacesAdministratorAdministersThePlatform() {
        func principal(_ workspace: String, _ scopes: [String]) -> Principal {
            Principal(workspaceID: 1, workspace: workspace, keyID: 1, scopes: ScopeSet(scopes))
        }
        #expect(principal("default", ["admin"]).administersPlatform)
        #expect(!principal("default", ["datasets:*"]).administersPlatform)
        #expect(!principal("other", ["admin"]).administersPlatform)
    }

    @Test(arguments: ["a", "a_1", String(repeating: "a", count: 40)]) func workspaceNames(_ name: String) {
        #expect(Workspace.isName(name))
    }

    @Test(arguments: ["", "1a", "_a", "A", "a-b", "ä", String(repeating: "a", count: 41)])
    func noWorkspaceNames(_ name: String) {
        #expect(!Workspace.isName(name))
    }
}
