/// How long a migration waits for locks that others hold, and how it gives way to them.
///
/// Whoever asks for a table stands behind a migration that waits for it. So no statement of a file waits for longer
/// than `lockTimeout`; the file is then rolled back, and tried again after a pause in which the others go on.
public struct LockPatience: Sendable, Hashable {
    /// How long a statement of a file waits for a lock, at least a millisecond: for as long others may be held up. An
    /// autovacuum gives way after `deadlock_timeout`, a second, so less than that may be in vain.
    public var lockTimeout: Duration
    /// Between two tries of a file.
    public var pause: Duration
    /// How long one file is tried.
    public var total: Duration

    public init(
        lockTimeout: Duration = .seconds(3), pause: Duration = .seconds(5), total: Duration = .seconds(3600)
    ) {
        self.lockTimeout = lockTimeout
        self.pause = pause
        self.total = total
    }
}
