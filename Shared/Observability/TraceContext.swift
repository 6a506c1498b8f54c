public import Buffers

/// A place in a distributed trace, as W3C Trace Context (level 1) carries it in `traceparent`.
public struct TraceContext: Sendable, Hashable {
    /// The 16 bytes of the trace id, high half first; never all zero.
    let traceHigh: UInt64
    let traceLow: UInt64
    /// The parent id; never zero.
    let span: UInt64
    let flags: UInt8

    private init(traceHigh: UInt64, traceLow: UInt64, span: UInt64, flags: UInt8) {
        self.traceHigh = traceHigh
        self.traceLow = traceLow
        self.span = span
        self.flags = flags
    }

    /// Reads a header's value; nil when it breaks the standard, and the caller then starts a trace of its own.
    ///
    /// Of a version after 00 the first four fields are used, as the standard asks.
    public init?(traceparent: String) {
        guard traceparent.utf8.count >= 55, traceparent.utf8.count <= 512 else { return nil }
        let text = Array(traceparent.utf8)
        let dash = UInt8(ascii: "-")
        guard text[2] == dash, text[35] == dash, text[52] == dash,
            let version = Hexadecimal.parse(text[0..<2]), version != 0xFF,
            let high = Hexadecimal.parse(text[3..<19]), let low = Hexadecimal.parse(text[19..<35]), high | low != 0,
            let span = Hexadecimal.parse(text[36..<52]), span != 0,
            let flags = Hexadecimal.parse(text[53..<55])
        else { return nil }
        guard text.count == 55 || (version > 0 && text[55] == dash) else { return nil }
        // Level 1 knows one flag, "sampled"; the others must be sent as zero.
        self.init(traceHigh: high, traceLow: low, span: span, flags: UInt8(flags) & 1)
    }

    /// The start of a new trace; the sampler decides whether it is recorded.
    public static func generate(_ numbers: inout UniqueNumbers, by sampler: TraceSampler) -> TraceContext {
        let (high, low) = (numbers.next(), numbers.next())
        return TraceContext(
            traceHigh: high, traceLow: low, span: numbers.next(), flags: sampler.takes(low) ? 1 : 0)
    }

    /// The same trace with a parent id of its own, for what is done next or handed on.
    public func child(_ numbers: inout UniqueNumbers) -> TraceContext {
        TraceContext(traceHigh: traceHigh, traceLow: traceLow, span: numbers.next(), flags: flags)
    }

    /// The same with a number from the process's own walk, where no thread's numbers are at hand.
    public func child() -> TraceContext {
        TraceContext(traceHigh: traceHigh, traceLow: traceLow, span: UniqueNumber.next(), flags: flags)
    }

    /// Whether what is done in this trace is recorded: who began it decided so.
    public var isSampled: Bool { flags & 1 == 1 }

    /// What names this place as the parent of others.
    public var spanID: SpanID { SpanID(number: span) }

    /// The trace id's 32 hexadecimal digits.
    public var traceID: String {
        let digits = [UInt8](capacity: 32) { digits in
            Hexadecimal.append(traceHigh, digits: 16, to: &digits)
            Hexadecimal.append(traceLow, digits: 16, to: &digits)
        }
        return String(decoding: digits, as: UTF8.self)
    }

    /// Appends the trace id's 32 hexadecimal digits.
    public func writeTraceID(to output: inout OctetBuffer) {
        output.append(hexadecimal: traceHigh)
        output.append(hexadecimal: traceLow)
    }

    /// The header's value, 55 octets of version 00.
    public var traceparent: String {
        let dash = UInt8(ascii: "-")
        let text = [UInt8](capacity: 55) { text in
            Hexadecimal.append(0, digits: 2, to: &text)
            text.append(dash)
            Hexadecimal.append(traceHigh, digits: 16, to: &text)
            Hexadecimal.append(traceLow, digits: 16, to: &text)
            text.append(dash)
            Hexadecimal.append(span, digits: 16, to: &text)
            text.append(dash)
            Hexadecimal.append(UInt64(flags), digits: 2, to: &text)
        }
        return String(decoding: text, as: UTF8.self)
    }
}
