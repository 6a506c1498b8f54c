/// Exponential backoff: a bound that doubles with each failure, of which the wait is a random part ("full jitter").
enum Backoff {
    static func bound(first: Duration, most: Duration, failures: Int) -> Duration {
        var bound = first
        var doublings = failures - 1
        while doublings > 0, bound < most {
            bound *= 2
            doublings -= 1
        }
        return min(bound, most)
    }
}
