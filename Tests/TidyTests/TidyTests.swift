import Testing

/// Style is a test: the rules over every file of the repository.
@Suite struct TidyTests {
    private let files: [SourceFile]

    init() throws {
        files = try RepositoryTree.here.sourceFiles()
    }

    private func check(_ rule: (SourceFile) -> [Finding]) {
        let findings = files.flatMap(rule)
        let isTidy = findings.isEmpty
        #expect(isTidy, "\(findings.count) findings\n\(findings.map(\.description).joined(separator: "\n"))")
    }

    private func check(_ rule: (SourceFile, [Token]) -> [Finding]) {
        check { file in file.isSwift ? rule(file, SwiftLexer.tokens(of: file.text)) : [] }
    }

    @Test func theTreeIsRead() {
        // A checker that finds no files would pass everything.
        #expect(files.count > 100)
        #expect(files.contains { $0.path == "Package.swift" })
        #expect(files.contains { $0.path.hasPrefix("Services/") && $0.path.hasSuffix("/Main.swift") })
        #expect(files.contains { $0.path.hasSuffix(".sql") })
    }

    @Test func linesAreShort() { check(SizeRules.longLines) }
    @Test func functionsAreShort() { check(SizeRules.longFunctions) }
    @Test func filesAreShort() { check(SizeRules.longFile) }

    @Test func mostFilesAreShorterStill() {
        #expect(SizeRules.medianLength(files) <= SizeRules.medianFileLines)
    }

    @Test func nothingIsLeftUnfinished() { check(WordRules.unfinishedWork) }
    @Test func thePagesTakeNoStringForMarkup() { check(WordRules.markupFromStrings) }
    @Test func noForbiddenCalls() { check(WordRules.forbiddenCalls) }
    @Test func unsafeStaysInTheFence() { check(WordRules.unsafeOutsideFence) }
    @Test func typesHaveNamesThatSaySomething() { check(WordRules.vagueTypeNames) }
    @Test func filesHaveNamesThatSaySomething() { check(WordRules.vaguePaths) }
    @Test func servicesDoNotImportEachOther() { check(WordRules.crossImports) }
    @Test func noPathsOfOneMachine() { check(PlaceRules.machinePaths) }

    @Test func theFenceHasNoGapsLeftOpen() {
        let stale = Fence.staleEntries(files)
        #expect(stale.isEmpty, "\(stale.map(\.description).joined(separator: "\n"))")
    }

    @Test func theTopLevelHoldsWhatBelongsThere() throws {
        let strangers = PlaceRules.strangers(atTopLevel: try RepositoryTree.here.topLevel)
        #expect(strangers.isEmpty, "\(strangers)")
    }
}
