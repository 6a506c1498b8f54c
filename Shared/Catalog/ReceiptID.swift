/// The opaque id of a receipt: names either one request among those coalesced into a batch, or an upload.
///
/// Text form: a letter and 13 characters of Crockford's base 32 (lower case), so that it is safe in a path and cannot
/// be taken for a row number. Whoever holds one still needs a key of the receipt's workspace.
public enum ReceiptID: Sendable, Hashable {
    /// The request at place `ordinal` (0…2^20−1) of the requests coalesced into `batch` (1…2^43−1).
    case coalesced(batch: Int64, ordinal: Int32)
    /// A request that was cut into batches of its own.
    case upload(Int64)

    /// The most requests that one batch can hold.
    public static let ordinalLimit = 1 << 20

    /// Reads the text form; nil for anything that `description` does not write.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 14, let number = Self.decode(bytes.dropFirst()) else { return nil }
        switch bytes[0] {
        case UInt8(ascii: "r"):
            self = .coalesced(batch: number >> 20, ordinal: Int32(number & 0xF_FFFF))
        case UInt8(ascii: "u"):
            self = .upload(number)
        default:
            return nil
        }
    }

    private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)

    private static func decode(_ digits: ArraySlice<UInt8>) -> Int64? {
        var value: UInt64 = 0
        for digit in digits {
            guard let index = alphabet.firstIndex(of: digit), value < 1 << 58 else { return nil }
            value = value << 5 | UInt64(index)
        }
        return Int64(exactly: value)
    }

    private static func text(_ letter: Unicode.Scalar, _ value: Int64) -> String {
        let bytes = [UInt8](capacity: 14) { output in
            output.append(UInt8(ascii: letter))
            for place in 0..<13 { output.append(alphabet[Int(value >> (60 - 5 * place)) & 31]) }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension ReceiptID: CustomStringConvertible {
    public var description: String {
        switch self {
        case .coalesced(let batch, let ordinal):
            Self.text("r", batch << 20 | Int64(ordinal))
        case .upload(let id):
            Self.text("u", id)
        }
    }
}
