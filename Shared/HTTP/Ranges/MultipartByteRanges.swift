/// How several ranges of one content are put into one body: `multipart/byteranges` (RFC 9110, section 14.6).
public struct MultipartByteRanges: Sendable, Hashable {
    public let ranges: [Range<Int>]
    /// Octets of the whole content.
    public let length: Int
    /// The content's own type.
    public let type: String
    /// Drawn anew for each answer, so that no content can hold it on purpose.
    public let boundary: String

    public init(_ ranges: [Range<Int>], of length: Int, type: String, boundary: String) {
        self.ranges = ranges
        self.length = length
        self.type = type
        self.boundary = boundary
    }

    /// A boundary of 128 bits.
    public static func boundary(_ generator: inout some RandomNumberGenerator) -> String {
        let digits = String(UInt128.random(in: .min ... .max, using: &generator), radix: 16)
        return String(repeating: "0", count: 32 - digits.utf8.count) + digits
    }

    public var contentType: String { "multipart/byteranges; boundary=\(boundary)" }

    /// What stands before the octets of a range.
    public func heading(of range: Range<Int>) -> [UInt8] {
        let fields = "content-type: \(type)\r\ncontent-range: \(ContentRange.text(range, of: length))\r\n"
        return Array("\r\n--\(boundary)\r\n\(fields)\r\n".utf8)
    }

    /// What stands behind the last range.
    public var closing: [UInt8] { Array("\r\n--\(boundary)--\r\n".utf8) }

    /// Octets of the body.
    public var contentLength: Int {
        ranges.reduce(closing.count) { $0 + heading(of: $1).count + $1.count }
    }
}
