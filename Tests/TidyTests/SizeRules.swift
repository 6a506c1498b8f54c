/// How long lines, functions and files may be.
enum SizeRules {
    static let columns = 120
    static let functionLines = 70
    static let fileLines = 400
    static let medianFileLines = 120

    /// Kinds of file whose lines are bounded; prose and data wrap as they like.
    static let boundedKinds = [".swift", ".c", ".cpp", ".h", ".sql", ".py", ".sh", ".js", ".css"]

    static func longLines(_ file: SourceFile) -> [Finding] {
        guard boundedKinds.contains(where: file.path.hasSuffix) else { return [] }
        return file.lines.enumerated().compactMap { index, line in
            line.count > columns ? file.finding(index + 1, "\(line.count) columns, over \(columns)") : nil
        }
    }

    static func longFile(_ file: SourceFile) -> [Finding] {
        guard file.isSwift, file.lineCount > fileLines else { return [] }
        return [file.finding(1, "\(file.lineCount) lines, over \(fileLines)")]
    }

    /// The middle of the files' lengths; of an even number the higher one.
    static func medianLength(_ files: [SourceFile]) -> Int {
        let lengths = files.filter(\.isSwift).map(\.lineCount).sorted()
        return lengths.isEmpty ? 0 : lengths[lengths.count / 2]
    }

    /// Functions, initialisers, subscripts and computed properties that are too long, from their first word to
    /// their last brace.
    static func longFunctions(_ file: SourceFile, _ tokens: [Token]) -> [Finding] {
        guard file.isSwift else { return [] }
        return tokens.indices.compactMap { start in
            guard let end = endOfBody(tokens, from: start) else { return nil }
            let length = tokens[end].line - tokens[start].line + 1
            guard length > functionLines else { return nil }
            let name = start + 1 < tokens.count ? tokens[start + 1].text : ""
            return file.finding(
                tokens[start].line, "\(tokens[start].text) \(name) has \(length) lines, over \(functionLines)")
        }
    }

    private static let functionWords: Set<String> = ["func", "init", "subscript", "deinit"]
    /// What follows a requirement of a protocol, which has no body.
    private static let declarationWords: Set<String> = [
        "func", "init", "subscript", "var", "let", "static", "mutating", "associatedtype", "case", "struct", "class",
        "enum", "actor", "protocol", "extension", "public", "private", "internal", "}", "@",
    ]

    /// The index of the brace that ends the body of what `start` declares; nil when it declares no body.
    private static func endOfBody(_ tokens: [Token], from start: Int) -> Int? {
        let word = tokens[start].text
        let isFunction = functionWords.contains(word)
        guard isFunction || word == "var" || word == "let" else { return nil }
        if word == "init", start > 0, tokens[start - 1].text == "." { return nil }
        var depth = 0
        var index = start + 1
        while index < tokens.count {
            let text = tokens[index].text
            if text == "(" || text == "[" { depth += 1 }
            if text == ")" || text == "]" { depth -= 1 }
            if depth < 0 { return nil }
            if depth == 0 {
                if text == "{" { return closingBrace(tokens, of: index) }
                let ends = isFunction ? declarationWords.contains(text) && index > start + 1 : text == "}"
                if ends || (!isFunction && tokens[index].line > tokens[start].line && !"),]>".contains(text)) {
                    return nil
                }
            }
            index += 1
        }
        return nil
    }

    private static func closingBrace(_ tokens: [Token], of open: Int) -> Int? {
        var depth = 0
        for index in open..<tokens.count {
            if tokens[index].text == "{" { depth += 1 }
            if tokens[index].text == "}" { depth -= 1 }
            if depth == 0 { return index }
        }
        return nil
    }
}
