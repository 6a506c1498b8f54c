public import Buffers

/// What names a request in its answer and in the log: the client's own word, or a number of ours, which becomes text
/// only where it is written.
public enum RequestID: Sendable, Hashable, CustomStringConvertible {
    /// Visible ASCII octets, without a quote.
    case given(String)
    case made(UInt64)

    /// Sixteen hexadecimal digits where it is ours.
    public var description: String {
        switch self {
        case .given(let text): text
        case .made(let number): UniqueNumber.text(of: number)
        }
    }

    public func write(to output: inout OctetBuffer) {
        switch self {
        case .given(let text): output.append(text)
        case .made(let number): output.append(hexadecimal: number)
        }
    }
}
