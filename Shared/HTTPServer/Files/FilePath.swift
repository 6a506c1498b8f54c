import HTTP

/// The part of a request's path that names a file below a folder.
struct FilePath: Sendable, Hashable {
    /// Names in one path, and octets of one of them: the kernel's limits, or less.
    static let depth = 32
    static let nameLimit = 255

    let names: [String]
    /// Whether it ends in a slash, or is nothing but one.
    let isFolder: Bool

    /// Nil where the path can name no file that is served: a part is empty, begins with a dot (`.`, `..`, hidden
    /// files), holds a slash or a control character once it is decoded, or does not decode.
    ///
    /// - Parameters:
    ///   - path: still percent-encoded, since an encoded slash separates nothing.
    ///   - mount: how many of its segments come before.
    init?(_ path: ArraySlice<UInt8>, below mount: Int) {
        let slash = UInt8(ascii: "/")
        var parts = path.split(separator: slash, omittingEmptySubsequences: false).dropFirst(1 + mount)
        isFolder = parts.last?.isEmpty ?? (mount == 0)
        if isFolder { parts = parts.dropLast() }
        guard parts.count <= FilePath.depth else { return nil }
        var names: [String] = []
        for part in parts {
            guard let name = PercentEncoding.decode(part), FilePath.isName(name) else { return nil }
            names.append(name)
        }
        self.names = names
    }

    /// The names as a path has them, each encoded.
    var encoded: String { names.map(PercentEncoding.encode).joined(separator: "/") }

    /// The extension of the file's name in lower case; empty where there is none.
    var fileExtension: String {
        let name = isFolder ? FileRoot.index : names.last ?? ""
        return name.lastIndex(of: ".").map { name[name.index(after: $0)...].lowercased() } ?? ""
    }

    private static func isName(_ name: String) -> Bool {
        let octets = name.utf8
        guard !octets.isEmpty, octets.count <= nameLimit, octets.first != UInt8(ascii: ".") else { return false }
        return octets.allSatisfy { $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") }
    }
}
