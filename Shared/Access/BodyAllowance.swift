import HTTP
import Synchronization

/// What one request's body may take of its key's quota: the length that it has announced is reserved, and octets are
/// counted as they come. It lives for as long as the body may be read; what has not come by then is given back.
final class BodyAllowance: Sendable {
    private let meter: KeyMeter
    private let key: Int64
    private let limit: Int
    private let reserved: Mutex<Int>

    /// `reserved` has been reserved with the meter.
    init(_ meter: KeyMeter, key: Int64, limit: Int, reserved: Int) {
        self.meter = meter
        self.key = key
        self.limit = limit
        self.reserved = Mutex(reserved)
    }

    deinit {
        let left = reserved.withLock { $0 }
        if left > 0 { meter.release(left, of: key) }
    }

    /// Counts octets that have come. Throws `rate_limited` where the quota has not as many left.
    func take(_ octets: Int) throws(Problem) {
        try reserved.withLock { reserved throws(Problem) in
            try meter.take(octets, reserved: reserved, of: key, within: limit)
            reserved -= min(octets, reserved)
        }
    }
}
