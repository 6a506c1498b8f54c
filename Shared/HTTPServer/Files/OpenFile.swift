/// A regular file, open for reading, as it was when it was opened. It is closed with its last reference.
final class OpenFile: Sendable {
    let state: FileState
    private let fd: CInt

    /// Opens a path below a directory. Not to be called on an event loop.
    init(_ path: String, below directory: CInt) throws(StaticFilesError) {
        (fd, state) = try FileCalls.openFile(path, below: directory)
    }

    deinit { FileCalls.close(fd) }

    /// All octets of a range within the size. Throws `changed` where the file is no longer what it was when it was
    /// opened: then there is no telling which version the octets are of. Not to be called on an event loop.
    func read(_ range: Range<Int>) throws(StaticFilesError) -> [UInt8] {
        let octets = try FileCalls.read(fd, range)
        guard octets.count == range.count, try FileCalls.state(of: fd).hasContent(of: state) else { throw .changed }
        return octets
    }
}
