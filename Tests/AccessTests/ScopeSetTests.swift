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

    // MARK: - Narrowed to names

    @Test func aNarrowedScopeIsForItsNamesAndForNoOthers() {
        let scopes = ScopeSet(["ingest:write/web_*", "datasets:*/web", "query"])
        #expect(scopes.allows("ingest:write", on: "web_1") && scopes.allows("ingest:write", on: "web_"))
        #expect(!scopes.allows("ingest:write", on: "web") && !scopes.allows("ingest:write", on: "xweb_1"))
        #expect(!scopes.allows("ingest:write") && scopes.allowsSome("ingest:write"))
        #expect(scopes.allows("datasets:write", on: "web") && !scopes.allows("datasets:write", on: "web_1"))
        #expect(!scopes.allowsSome("sources:read") && scopes.allows("query", on: "anything"))
        #expect(ScopeSet(["admin"]).allows("datasets:read", on: "x"))
        for broken in ["datasets:read/", "datasets:read/WEB", "datasets:read/a/b", "datasets:read/a b", "admin/"] {
            let scopes = ScopeSet([broken])
            #expect(!scopes.allows("datasets:read") && !scopes.allows("datasets:read", on: "a"), "\(broken)")
            #expect(!scopes.allowsSome("datasets:read") && !scopes.allows("admin"))
        }
    }

    @Test(arguments: [
        ("*", "", true), ("*", "abc", true), ("a*c", "abc", true), ("a*c", "ac", true), ("a*c", "acb", false),
        ("a*b*c", "aXXbYYc", true), ("a*b*c", "acb", false), ("**", "x", true), ("*a", "aaaa", true),
        ("*ab", "aab", true), ("a*a*a", "aa", false), ("abc", "abc", true), ("abc", "abcd", false),
        ("*_raw", "web_raw", true), ("*_raw", "web_raw_", false),
    ])
    func patternsMatch(_ pattern: String, _ name: String, _ expected: Bool) throws {
        #expect(try #require(NamePattern(pattern[...])).matches(name) == expected)
    }

    @Test func aPatternThatTriesEverythingTakesNoTime() throws {
        let pattern = try #require(NamePattern(String(repeating: "*a", count: 32)[...]))
        let start = ContinuousClock.now
        for _ in 0..<1000 { #expect(!pattern.matches(String(repeating: "a", count: 31) + "b")) }
        #expect(ContinuousClock.now - start < .seconds(30))
    }

    @Test func whatIsGivenAwayIsWhatOneHas() {
        let own = ScopeSet(["ingest:write/web_*", "datasets:*", "pipelines:read"])
        let within = [
            "ingest:write/web_1", "ingest:write/web_*", "ingest:write/web_*_x", "datasets:read", "datasets:*",
            "datasets:write/a*", "pipelines:read", "pipelines:read/x",
        ]
        #expect(own.exceeding(within).isEmpty)
        let beyond = [
            "admin", "query", "ingest:write", "ingest:*", "ingest:write/*", "ingest:write/web*", "ingest:write/we*",
            "ingest:write/w_*", "pipelines:*", "pipelines:write", "raw:read", "datasets", "keys:write",
        ]
        #expect(own.exceeding(beyond) == beyond)
        #expect(ScopeSet.administrator.exceeding(within + beyond).isEmpty)
        #expect(ScopeSet([]).exceeding(["query"]) == ["query"])
    }

    @Test func whatIsGivenAwayNeverReachesFurther() {
        let patterns = ["*", "a*", "*a", "a*b", "ab", "a", "*b*", "a_*", "**", "b*a", "aa*", "*aa"]
        let names = ["", "a", "b", "ab", "ba", "aa", "aab", "aba", "a_b", "bab", "a_", "abab"]
        for own in patterns {
            for given in patterns where ScopeSet(["raw:read/\(own)"]).exceeding(["raw:read/\(given)"]).isEmpty {
                for name in names where ScopeSet(["raw:read/\(given)"]).allows("raw:read", on: name) {
                    #expect(ScopeSet(["raw:read/\(own)"]).allows("raw:read", on: name), "\(own) \(given) \(name)")
                }
            }
        }
    }

    @Test func onlyWhatIsAboutNamesCanBeNarrowed() {
        let right = ScopeSet.narrowable.map { "\($0)/a_*" } + ["datasets:*/web", "ingest:*/x*", "pipelines:*/a"]
        #expect(ScopeSet.unknown(in: right).isEmpty)
        let wrong = [
            "query/a", "admin/a", "endpoints:write/a", "endpoints:*/a", "keys:write/a", "keys:*/a", "datasets:read/",
            "datasets:read/A", "datasets:read/a/b", "x:read/a", "datasets:read/" + String(repeating: "a", count: 65),
        ]
        #expect(ScopeSet.unknown(in: wrong) == wrong)
    }

    @Test func patternsOfLists() {
        let scopes = ScopeSet(["sources:read/web_*", "sources:*/a", "datasets:read"])
        #expect(scopes.likePatterns(of: "sources:read") == ["web\\_%", "a"])
        #expect(scopes.likePatterns(of: "datasets:read") == nil)
        #expect(scopes.likePatterns(of: "raw:read") == [])
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
