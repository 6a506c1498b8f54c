import Foundation

/// The files of this package, found from where this source file lies.
struct RepositoryTree {
    let root: String

    static let here: RepositoryTree = {
        let parts = #filePath.split(separator: "/").dropLast(3)
        return RepositoryTree(root: "/" + parts.joined(separator: "/"))
    }()

    private static let textKinds: Set<String> = [
        "swift", "c", "cpp", "h", "modulemap", "sql", "py", "sh", "md", "json", "yaml", "yml", "conf", "toml", "txt",
        "js", "css", "html", "",
    ]

    var topLevel: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: root).sorted() }
    }

    /// All text files but those in hidden folders, sorted by path. Hidden folders hold what tools make; the one for
    /// continuous integration is the project's own.
    func sourceFiles() throws -> [SourceFile] {
        var files: [SourceFile] = []
        for name in try topLevel where !name.hasPrefix(".") || name == ".ci" {
            try collect(name, into: &files)
        }
        return files
    }

    private func collect(_ path: String, into files: inout [SourceFile]) throws {
        let full = root + "/" + path
        if let names = try? FileManager.default.contentsOfDirectory(atPath: full) {
            for name in names.sorted() where !name.hasPrefix(".") && name != "__pycache__" {
                try collect(path + "/" + name, into: &files)
            }
        } else if Self.textKinds.contains(Self.kind(of: path)), let data = FileManager.default.contents(atPath: full),
            let text = String(bytes: data, encoding: .utf8)
        {
            files.append(SourceFile(path: path, text: text))
        }
    }

    private static func kind(of path: String) -> String {
        let name = path.split(separator: "/").last ?? ""
        guard let dot = name.lastIndex(of: ".") else { return "" }
        return String(name[name.index(after: dot)...])
    }
}
