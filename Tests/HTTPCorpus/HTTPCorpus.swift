import Foundation

/// All cases of the folder `cases`.
public enum HTTPCorpus {
    /// Reads them; the folder is found from where this source file lies.
    public static func cases() throws -> [HTTPCase] {
        let folder = "/" + #filePath.split(separator: "/").dropLast().joined(separator: "/") + "/cases"
        return try FileManager.default.contentsOfDirectory(atPath: folder).sorted().flatMap { file in
            try String(contentsOfFile: folder + "/" + file, encoding: .utf8).split(separator: "\n")
                .map { try HTTPCase(String($0)) }
        }
    }
}
