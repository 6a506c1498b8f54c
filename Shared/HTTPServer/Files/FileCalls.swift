private import CLinux
import EventLoop

/// System calls on files. They wait for a disk or another machine, so none of them is made on an event loop.
enum FileCalls {
    /// A directory to look files up from. Made once at a service's start, wherever that is.
    static func openDirectory(_ path: String) throws(StaticFilesError) -> CInt {
        try check(unsafe clinux_open_directory(path), "open")
    }

    /// The regular file at a path below a directory; no part of the path is a link, or leads up.
    static func openFile(_ path: String, below directory: CInt) throws(StaticFilesError) -> (fd: CInt, FileState) {
        expectToBeOffTheLoops()
        var state = clinux_file_state()
        let fd = try check(unsafe clinux_open_below(directory, path, &state), "openat")
        return (fd, FileState(state))
    }

    static func state(of fd: CInt) throws(StaticFilesError) -> FileState {
        expectToBeOffTheLoops()
        var state = clinux_file_state()
        _ = try check(unsafe clinux_file_state_now(fd, &state), "fstat")
        return FileState(state)
    }

    /// The octets of a range; fewer where the file ends before.
    static func read(_ fd: CInt, _ range: Range<Int>) throws(StaticFilesError) -> [UInt8] {
        expectToBeOffTheLoops()
        var status = 0
        let octets = unsafe [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            status = unsafe clinux_read_at(fd, buffer.baseAddress, buffer.count, Int64(range.lowerBound))
            count = max(0, status)
        }
        if status < 0 { throw .system(call: "pread", errno: CInt(-status)) }
        return octets
    }

    static func close(_ fd: CInt) { _ = clinux_close(fd) }

    private static func expectToBeOffTheLoops() {
        precondition(EventLoop.current == nil, "a file was about to be read on an event loop")
    }

    private static func check(_ result: CInt, _ call: String) throws(StaticFilesError) -> CInt {
        if result < 0 { throw .system(call: call, errno: -result) }
        return result
    }
}

extension FileState {
    fileprivate init(_ state: clinux_file_state) {
        size = Int(state.size)
        device = state.device
        inode = state.inode
        modified = Moment(seconds: state.modified_seconds, nanoseconds: state.modified_nanoseconds)
        changed = Moment(seconds: state.changed_seconds, nanoseconds: state.changed_nanoseconds)
    }
}
