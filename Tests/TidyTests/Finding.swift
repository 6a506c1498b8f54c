/// One place that breaks a rule of style.
struct Finding: CustomStringConvertible, Equatable {
    let path: String
    let line: Int
    let message: String

    var description: String { "\(path):\(line): \(message)" }
}

/// A text file of the repository, its path from the root.
struct SourceFile {
    let path: String
    let text: String

    var isSwift: Bool { path.hasSuffix(".swift") }
    var isTest: Bool { path.hasPrefix("Tests/") }

    var lines: [Substring] {
        text.split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// As `wc -l` counts.
    var lineCount: Int { lines.count - (text.hasSuffix("\n") ? 1 : 0) }

    func finding(_ line: Int, _ message: String) -> Finding {
        Finding(path: path, line: line, message: message)
    }
}
