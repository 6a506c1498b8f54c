import Testing

/// The checker itself, on small bad samples: each rule must find what it is for, and nothing beside it.
@Suite struct TidyRulesTests {
    private func lines(
        _ rule: (SourceFile, [Token]) -> [Finding], _ text: String, path: String = "Shared/A/A.swift"
    ) -> [Int] {
        rule(SourceFile(path: path, text: text), SwiftLexer.tokens(of: text)).map(\.line)
    }

    private func lines(_ rule: (SourceFile) -> [Finding], _ text: String, path: String = "Shared/A/A.swift") -> [Int] {
        rule(SourceFile(path: path, text: text)).map(\.line)
    }

    private func function(_ head: String, lines: Int) -> String {
        head + " {\n" + String(repeating: "    a()\n", count: lines - 2) + "}\n"
    }

    @Test func longLines() {
        let long = String(repeating: "é", count: 121)
        #expect(lines(SizeRules.longLines, "a\n\(long)\n\(long.dropLast())") == [2])
        #expect(lines(SizeRules.longLines, long, path: "README.md").isEmpty)
        #expect(lines(SizeRules.longLines, long, path: "Shared/M/SQL/1.sql") == [1])
    }

    @Test(arguments: [
        "func a(b: () -> Void = {}) async throws -> [Int]", "init?(a: Int)", "subscript(a: Int) -> Int", "deinit",
        "var a: Int", "func a<T>(\n    b: T\n) -> T where T: Sendable", "static let a = make",
    ])
    func longFunctions(_ head: String) {
        let extra = head.count { $0 == "\n" }
        #expect(lines(SizeRules.longFunctions, function(head, lines: 71 - extra)) == [1])
        #expect(lines(SizeRules.longFunctions, function(head, lines: 70 - extra)).isEmpty)
        #expect(lines(SizeRules.longFunctions, "struct S {\n" + function(head, lines: 71 - extra) + "}") == [2])
    }

    @Test func whatIsNoFunctionMayBeLong() {
        #expect(lines(SizeRules.longFunctions, function("struct A", lines: 100)).isEmpty)
        let requirements = "protocol P {\n    func a()\n    init(b: Int)\n    var c: Int { get }\n}\n"
        #expect(lines(SizeRules.longFunctions, requirements + function("struct A", lines: 100)).isEmpty)
        #expect(lines(SizeRules.longFunctions, "let a: Int\n" + function("extension A", lines: 100)).isEmpty)
        #expect(lines(SizeRules.longFunctions, "a = .init(b)\n" + function("extension A", lines: 100)).isEmpty)
    }

    @Test func longFilesAndTheirMedian() {
        let text = String(repeating: "a\n", count: 401)
        #expect(lines(SizeRules.longFile, text) == [1])
        #expect(lines(SizeRules.longFile, String(text.dropLast(2))).isEmpty)
        let files = [1, 5, 9].map { SourceFile(path: "a.swift", text: String(repeating: "\n", count: $0)) }
        #expect(SizeRules.medianLength(files) == 5)
    }

    @Test func unfinishedWork() {
        let (fix, later) = (WordRules.unfinished[0], WordRules.unfinished[1])
        #expect(lines(WordRules.unfinishedWork, "// \(fix): a\nb\n# \(later)") == [1, 3])
        #expect(lines(WordRules.unfinishedWork, "a\(later) \(later)s").isEmpty)
    }

    @Test func printing() {
        #expect(lines(WordRules.forbiddenCalls, "print(1)\n debugPrint (2)\nif a { print(3) }") == [1, 2, 3])
        #expect(lines(WordRules.forbiddenCalls, "a.print(1)\nfunc print(_ a: Int)\n// print(1)\n\"print(1)\"").isEmpty)
        #expect(lines(WordRules.forbiddenCalls, "\"\\(print(1))\"") == [1])
    }

    @Test func tryWithATrap() {
        #expect(lines(WordRules.forbiddenCalls, "a = try! b()\ntry? c()\ntry d()\ntry !e()") == [1])
    }

    @Test func strayTasks() {
        let bad = "Task { a }\nTask<Int, Never> { 1 }\nTask(priority: .low) { a }\nTask.detached { a }\nTask.init { a }"
        #expect(lines(WordRules.forbiddenCalls, bad) == [1, 2, 3, 4, 5])
        #expect(lines(WordRules.forbiddenCalls, bad, path: "Services/Store/Main/Main.swift").count == 5)
        #expect(lines(WordRules.forbiddenCalls, bad, path: "Shared/Lifecycle/A.swift").isEmpty)
        #expect(
            lines(WordRules.forbiddenCalls, "Task.isCancelled\nlet a: Task<Int, Never>\ngroup.addTask { a }").isEmpty)
    }

    @Test func unsafety() {
        let bad = "a = unsafe b\nnonisolated(unsafe) let c\nclass D: @unchecked Sendable {}\n// unsafe\n\"unsafe\""
        #expect(lines(WordRules.unsafeOutsideFence, bad) == [1])
        for line in bad.split(separator: "\n").prefix(3) {
            #expect(lines(WordRules.unsafeOutsideFence, String(line)) == [1])
        }
        #expect(lines(WordRules.unsafeOutsideFence, "// unsafe\n\"unsafe\"").isEmpty)
        #expect(lines(WordRules.unsafeOutsideFence, bad, path: "Shared/Observability/LogThread.swift").isEmpty)
        #expect(lines(WordRules.unsafeOutsideFence, bad, path: "Tests/ATests/A.swift").isEmpty)
        #expect(!Fence.staleEntries([]).isEmpty)
        #expect(Fence.staleEntries([]).count == Fence.unsafeFiles.count)
    }

    @Test func markup() {
        let text = "place.textContent = name;\nplace.innerHTML = name;\nnew DOMParser();"
        #expect(lines(WordRules.markupFromStrings, text, path: "Services/Console/a.js") == [2, 3])
        #expect(lines(WordRules.markupFromStrings, text, path: "Tests/EndToEndTests/browser.py").isEmpty)
    }

    @Test func vagueNames() {
        #expect(
            lines(WordRules.vagueTypeNames, "enum StringUtils {}\nactor PoolManager {}\nstruct Common {}") == [1, 2, 3])
        #expect(lines(WordRules.vagueTypeNames, "struct Commonest {}\nlet a = FileManager.default").isEmpty)
        #expect(lines(WordRules.vaguePaths, "", path: "Shared/A/Helpers.swift").count == 1)
        #expect(lines(WordRules.vaguePaths, "", path: "Shared/Common/New/A+Utils.swift").count == 2)
        #expect(lines(WordRules.vaguePaths, "", path: "Shared/Renewal/A.swift").isEmpty)
    }

    @Test func crossImports() {
        let text = "import JSON\npublic import Store\nimport Ingest"
        #expect(lines(WordRules.crossImports, text, path: "Services/Ingest/Routes/A.swift") == [2])
        #expect(lines(WordRules.crossImports, text, path: "Tests/EndToEndTests/A.swift").isEmpty)
    }

    @Test func machinePaths() {
        let slash = "/"
        let bad = ["\(slash)work/main/a", "cd \(slash)root/x", "a=\(slash)home/me/b", "\"\(slash)tmp/my/file\""]
        #expect(lines(PlaceRules.machinePaths, bad.joined(separator: "\n")) == [1, 2, 3, 4])
        let good = [
            "https://host/work/a", "a/root/b", "/usr/lib/postgresql", "\(slash)tmp/millrace-x", "\(slash)tmp",
            "/v1/work",
            "$HOME/home/a", "${dir}/tmp/a", "\\(dir)/tmp/a",
        ]
        #expect(lines(PlaceRules.machinePaths, good.joined(separator: "\n")).isEmpty)
    }

    @Test func topLevel() {
        #expect(
            PlaceRules.strangers(atTopLevel: ["Shared", ".git", "notes.md", "Makefile"]).map(\.path) == ["notes.md"])
    }
}
