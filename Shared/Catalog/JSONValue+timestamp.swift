public import JSON
import Records

extension JSONValue {
    /// A time as the API writes it: RFC 3339 in UTC with `Z` and up to six fractional digits.
    /// - Parameter microseconds: since 2000-01-01 00:00 UTC.
    public static func timestamp(_ microseconds: Int64) -> JSONValue {
        var text: [UInt8] = []
        TextOutput.append(rfc3339: microseconds, into: &text)
        return .string(String(decoding: text, as: UTF8.self))
    }
}
