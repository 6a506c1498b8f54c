import HTTP

/// What the file system says of a regular file at one moment.
struct FileState: Sendable, Hashable {
    struct Moment: Sendable, Hashable {
        let seconds: Int64
        let nanoseconds: Int64
    }

    let size: Int
    let device: UInt64
    let inode: UInt64
    /// When its content was written, which programs may set.
    let modified: Moment
    /// When anything of it was changed, which only the kernel sets.
    let changed: Moment

    /// Seconds after which a further change cannot have the time of the one before: the kernel's clock for files moves
    /// at least a hundred times a second, and dates in HTTP count whole seconds.
    private static let rest: Int64 = 2

    /// Whether the content is still what it was; a file whose name was given to another one has changed otherwise.
    func hasContent(of other: FileState) -> Bool { size == other.size && modified == other.modified }

    /// What the versions of the file are told apart by.
    ///
    /// The tag is strong, and that is sound: every write sets the inode's time of change from the kernel's clock, which
    /// no program can set back as it can the time of modification, and a file put in another one's place has another
    /// inode, or the same number with a later time. Only a change within one tick of that clock would not show, so a
    /// file has a tag, and a date, when it has been at rest for two seconds. What is written through a shared mapping
    /// shows late: replace files by renaming. The tag is a hash of these numbers, for nobody is to learn them.
    func validators(now: Int64) -> Validators {
        let isAtRest = now - changed.seconds >= FileState.rest
        let isSettled = isAtRest && now - modified.seconds >= FileState.rest
        return Validators(
            tag: isAtRest ? EntityTag(content: identity) : nil, modified: max(0, modified.seconds),
            isSettled: isSettled)
    }

    private var identity: [UInt8] {
        let times = [modified.seconds, modified.nanoseconds, changed.seconds, changed.nanoseconds]
        let numbers = [device, inode, UInt64(size)] + times.map { UInt64(bitPattern: $0) }
        return numbers.flatMap { number in (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) } }
    }
}
