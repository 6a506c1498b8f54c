private import Glibc
public import HTTP

/// Why a folder could not be served, or a file of it.
public enum StaticFilesError: Error, Hashable, Sendable {
    /// The kernel refused; `call` names the system call.
    case system(call: String, errno: CInt)
    /// The file was changed while it was read.
    case changed
}

extension StaticFilesError {
    /// Whether there is nothing to serve, for whatever reason: who asks is not told which.
    var isNothing: Bool {
        guard case .system(_, let errno) = self else { return false }
        return [ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG, EACCES, EPERM, ENXIO, EISDIR].contains(errno)
    }

    var isDirectory: Bool {
        if case .system(_, EISDIR) = self { true } else { false }
    }
}

extension StaticFilesError: ProblemConvertible {
    public var problem: Problem {
        switch self {
        case .system(_, EMFILE), .system(_, ENFILE), .system(_, ENOMEM):
            Problem(.overloaded, "the service has no room for another file now", retryAfter: .seconds(1))
        case .changed: Problem(.overloaded, "the file is being changed", retryAfter: .seconds(1))
        case .system: Problem(.internalError, "the file could not be read")
        }
    }
}
