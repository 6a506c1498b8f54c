private import CThreadSanitizer

/// What the tests were built with.
public enum Sanitizer {
    /// How many times as long work may take: 1, or 10 where the thread sanitizer watches every access. Amounts of work
    /// that have a limit of time are divided by it.
    public static var slowdown: Int { thread_sanitizer_is_on() ? 10 : 1 }
}
