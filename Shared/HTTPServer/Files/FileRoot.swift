/// The folder that files are served from, opened once: giving its name to another folder changes nothing.
final class FileRoot: Sendable {
    /// What a path leads to.
    enum Found: Sendable {
        /// A file, with its content where that is small.
        case file(OpenFile, content: [UInt8]?)
        /// A folder with an index, which the path should have named with a slash at its end.
        case folder
        case nothing
    }

    static let index = "index.html"
    /// Tries to read a small file whole while somebody changes it.
    private static let attempts = 3

    private let directory: CInt

    init(_ path: String) throws(StaticFilesError) {
        directory = try FileCalls.openDirectory(path)
    }

    deinit { FileCalls.close(directory) }

    /// Not to be called on an event loop.
    ///
    /// - Parameter small: the most octets of a file that are read at once.
    func find(_ path: FilePath, small: Int) throws(StaticFilesError) -> Found {
        if path.names.isEmpty, !path.isFolder { return try findIndex(path) }
        let name = path.isFolder ? path.names + [FileRoot.index] : path.names
        var attempt = 1
        while true {
            do throws(StaticFilesError) {
                let file = try OpenFile(name.joined(separator: "/"), below: directory)
                guard file.state.size <= small else { return .file(file, content: nil) }
                return .file(file, content: try file.read(0..<file.state.size))
            } catch {
                if error.isDirectory, !path.isFolder { return try findIndex(path) }
                if error.isNothing { return .nothing }
                guard error == .changed, attempt < FileRoot.attempts else { throw error }
                attempt += 1
            }
        }
    }

    private func findIndex(_ path: FilePath) throws(StaticFilesError) -> Found {
        do throws(StaticFilesError) {
            _ = try OpenFile((path.names + [FileRoot.index]).joined(separator: "/"), below: directory)
            return .folder
        } catch {
            guard error.isNothing else { throw error }
            return .nothing
        }
    }
}
