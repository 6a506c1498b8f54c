import Glibc

/// What tells that a file is another one than it was, or has other contents.
struct FileStamp: Hashable, Sendable {
    private let device: UInt
    private let inode: UInt
    private let size: Int
    /// Of the contents and of the file's entry; by nanoseconds.
    private let changes: [Int]

    /// Nil where there is no such file, or it may not be looked at. Blocks as long as the file system does.
    init?(ofFile path: String) {
        var info = stat()
        guard unsafe stat(path, &info) == 0 else { return nil }
        device = info.st_dev
        inode = info.st_ino
        size = info.st_size
        changes = [info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ctim.tv_sec, info.st_ctim.tv_nsec]
    }
}
