/// Words that do not belong into the source, or only into certain files.
enum WordRules {
    /// Marks of unfinished work, put together here so that this file does not hold them.
    static let unfinished = ["FIX" + "ME", "TO" + "DO"]
    static let vagueNames = ["Utils", "Util", "Helpers", "Helper", "Common", "Manager", "Misc"]
    static let deadFolders: Set<String> = ["New", "Old", "Deprecated", "Legacy"]

    static func unfinishedWork(_ file: SourceFile) -> [Finding] {
        file.lines.enumerated().flatMap { index, line in
            words(of: line).filter { unfinished.contains($0) }.map { file.finding(index + 1, $0) }
        }
    }

    /// Ways in which a page would take a string for markup or for a script.
    static let markupCalls = [
        "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "createContextualFragment", "DOMParser",
        "eval(", "new Function", "javascript:", "srcdoc",
    ]

    static func markupFromStrings(_ file: SourceFile) -> [Finding] {
        guard file.path.hasPrefix("Services/Console/"), file.path.hasSuffix(".js") else { return [] }
        return file.lines.enumerated().flatMap { index, line in
            markupCalls.filter { line.contains($0) }.map { file.finding(index + 1, "\($0): data must stay text") }
        }
    }

    private static func words(of line: Substring) -> [String] {
        line.split { !$0.isLetter && !$0.isNumber && $0 != "_" }.map(String.init)
    }

    /// Writing past the logger, traps on errors, and tasks that no service waits for.
    static func forbiddenCalls(_ file: SourceFile, _ tokens: [Token]) -> [Finding] {
        guard file.isSwift else { return [] }
        return tokens.indices.compactMap { index in
            let token = tokens[index]
            let before = index > 0 ? tokens[index - 1].text : ""
            let next = index + 1 < tokens.count ? tokens[index + 1].text : ""
            switch token.text {
            case "print" where next == "(" && before != "." && before != "func",
                "debugPrint" where next == "(":
                return file.finding(token.line, "\(token.text)( instead of the logger")
            case "try" where next == "!" && tokens[index + 1].isJoined:
                return file.finding(token.line, "try" + "! traps on an error")
            case "Task" where startsTask(tokens, at: index) && !mayStartTasks(file):
                return file.finding(
                    token.line, "a task that nobody waits for; background work belongs in a service's run()")
            default:
                return nil
            }
        }
    }

    private static func startsTask(_ tokens: [Token], at index: Int) -> Bool {
        guard index == 0 || tokens[index - 1].text != "." else { return false }
        var next = index + 1
        // Task<Success, Failure> { … }
        if next < tokens.count, tokens[next].text == "<" {
            while next < tokens.count, tokens[next].text != ">" { next += 1 }
            next += 1
        }
        guard next < tokens.count else { return false }
        if tokens[next].text == "{" || tokens[next].text == "(" { return true }
        return tokens[next].text == "." && next + 1 < tokens.count
            && ["detached", "immediate", "init"].contains(tokens[next + 1].text)
    }

    private static func mayStartTasks(_ file: SourceFile) -> Bool {
        file.isTest || file.path.hasPrefix("Shared/Lifecycle/") || Fence.taskStarters[file.path] != nil
    }

    /// `unsafe` and unchecked conformances outside the fence; a test may use them, it ships with nothing.
    static func unsafeOutsideFence(_ file: SourceFile, _ tokens: [Token]) -> [Finding] {
        guard file.isSwift, !file.isTest, Fence.unsafeFiles[file.path] == nil else { return [] }
        let uses = tokens.filter { $0.text == "unsafe" || $0.text == "unchecked" }
        guard let first = uses.first else { return [] }
        return [file.finding(first.line, "\(first.text) outside the fence (\(uses.count) times in this file)")]
    }

    static func vagueTypeNames(_ file: SourceFile, _ tokens: [Token]) -> [Finding] {
        guard file.isSwift else { return [] }
        let declaring: Set<String> = ["struct", "class", "enum", "actor", "protocol", "typealias"]
        return zip(tokens, tokens.dropFirst()).compactMap { word, name in
            guard declaring.contains(word.text), vagueNames.contains(where: name.text.hasSuffix) else { return nil }
            return file.finding(name.line, "\(name.text): a name that says what it is for, please")
        }
    }

    static func vaguePaths(_ file: SourceFile) -> [Finding] {
        file.path.split(separator: "/").compactMap { part in
            let stem = String(part.prefix { $0 != "." && $0 != "+" })
            let vague = vagueNames.contains(where: stem.hasSuffix) || deadFolders.contains(stem)
            return vague ? file.finding(1, "\(part): a name that says what it is for, please") : nil
        }
    }

    /// A service that imports another one.
    static func crossImports(_ file: SourceFile, _ tokens: [Token]) -> [Finding] {
        let parts = file.path.split(separator: "/")
        guard file.isSwift, parts.first == "Services", parts.count > 2 else { return [] }
        let others = Set(["Ingest", "Transform", "Store", "Analytics"]).subtracting([String(parts[1])])
        return zip(tokens, tokens.dropFirst()).compactMap { word, name in
            guard word.text == "import", others.contains(name.text) else { return nil }
            return file.finding(word.line, "services meet in the database, not by import \(name.text)")
        }
    }
}
