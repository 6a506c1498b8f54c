private import CPCRE2

/// A compiled regular expression: the handle of PCRE2's code.
///
/// Matching is bounded by a match limit and a heap limit, so that no pattern runs away. The code is immutable after
/// it has been compiled and may be used from several threads, each with a ``RegexMatcher`` of its own.
@safe final class Regex: @unchecked Sendable {
    struct CompileError: Error {
        let message: String
        let offset: Int
    }

    fileprivate let code: OpaquePointer
    let groups: Int

    /// Compiles PCRE2's own syntax, in UTF mode.
    init(pcre2 pattern: String) throws(CompileError) {
        var error: Int32 = 0
        var offset = 0
        let bytes = Array(pattern.utf8)
        let options =
            PCRE2_UTF | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | UInt32(PCRE2_NO_AUTO_POSSESS)
        let code = unsafe bytes.withUnsafeBufferPointer { pattern in
            unsafe pcre2_compile_8(pattern.baseAddress, pattern.count, options, &error, &offset, nil)
        }
        guard let code = unsafe code else {
            var text = [UInt8](repeating: 0, count: 256)
            let length = unsafe text.withUnsafeMutableBufferPointer { buffer in
                unsafe pcre2_get_error_message_8(error, buffer.baseAddress, buffer.count)
            }
            throw CompileError(message: String(decoding: text[..<max(Int(length), 0)], as: UTF8.self), offset: offset)
        }
        unsafe self.code = code
        var count: UInt32 = 0
        unsafe _ = pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_CAPTURECOUNT), &count)
        groups = Int(count)
        unsafe _ = pcre2_jit_compile_8(code, UInt32(PCRE2_JIT_COMPLETE))
    }

    deinit { unsafe pcre2_code_free_8(code) }

    /// The named groups, in the order of PCRE2's table.
    var groupNames: [(name: String, number: Int)] {
        var count: UInt32 = 0
        var size: UInt32 = 0
        var table: UnsafePointer<UInt8>?
        unsafe _ = pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_NAMECOUNT), &count)
        unsafe _ = pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_NAMEENTRYSIZE), &size)
        unsafe _ = pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_NAMETABLE), &table)
        guard let table = unsafe table else { return [] }
        let bytes = unsafe Array(UnsafeBufferPointer(start: table, count: Int(count * size)))
        return (0..<Int(count)).map { index in
            // Two bytes of number, most significant first, and the name up to a zero.
            let entry = bytes[index * Int(size)..<(index + 1) * Int(size)]
            let name = entry.dropFirst(2).prefix { $0 != 0 }
            return (
                String(decoding: name, as: UTF8.self), Int(entry.first ?? 0) << 8 | Int(entry.dropFirst().first ?? 0)
            )
        }
    }
}

/// Room for matching one expression; used by one thread at a time.
@safe struct RegexMatcher: ~Copyable {
    /// How much work a match may be; PCRE2's units.
    private static let matchLimit: UInt32 = 1_000_000
    private static let heapLimitKiB: UInt32 = 16 * 1024

    private let regex: Regex
    private let data: OpaquePointer
    private let context: OpaquePointer
    private var workspace = [Int32](repeating: 0, count: 4000)

    static var limitExceeded: Fault {
        Fault("limit_exceeded", "regular expression match takes too much work")
    }

    init(_ regex: Regex) {
        self.regex = regex
        guard let data = unsafe pcre2_match_data_create_from_pattern_8(regex.code, nil),
            let context = unsafe pcre2_match_context_create_8(nil)
        else { preconditionFailure("no memory for a match") }
        unsafe self.data = data
        unsafe self.context = context
        unsafe _ = pcre2_set_match_limit_8(context, Self.matchLimit)
        unsafe _ = pcre2_set_heap_limit_8(context, Self.heapLimitKiB)
    }

    deinit {
        unsafe pcre2_match_data_free_8(data)
        unsafe pcre2_match_context_free_8(context)
    }

    /// Whether there is a match at or after `start`; the ranges are then read by `range`.
    mutating func match(_ text: Bytes, from start: Int? = nil, wholly: Bool = false) throws(Fault) -> Bool {
        let options = UInt32(PCRE2_NO_UTF_CHECK) | (wholly ? PCRE2_ANCHORED | PCRE2_ENDANCHORED : 0)
        let offset = (start ?? text.startIndex) - text.startIndex
        let found = unsafe text.withUnsafeBufferPointer { subject in
            unsafe pcre2_match_8(
                regex.code, subject.baseAddress, subject.count, offset, options, data, context)
        }
        return try isMatch(found)
    }

    /// The longest or shortest match of those that begin first at or after `start`.
    ///
    /// Where the first match begins the bounded search says; how long it is PCRE2's other algorithm, which alone would
    /// look at the rest of the text from every place of it.
    mutating func find(
        _ text: Bytes, from start: Int, _ preference: RegexTranslator.Preference
    ) throws(Fault) -> Range<Int>? {
        guard try match(text, from: start), let first = range(0, in: text) else { return nil }
        let options =
            UInt32(PCRE2_NO_UTF_CHECK) | PCRE2_ANCHORED | (preference == .shortest ? UInt32(PCRE2_DFA_SHORTEST) : 0)
        let offset = first.lowerBound - text.startIndex
        let found = unsafe text.withUnsafeBufferPointer { subject in
            unsafe workspace.withUnsafeMutableBufferPointer { space in
                unsafe pcre2_dfa_match_8(
                    regex.code, subject.baseAddress, subject.count, offset, options, data, context,
                    space.baseAddress, space.count)
            }
        }
        guard try isMatch(found) else { return nil }
        return range(0, in: text)
    }

    private func isMatch(_ result: Int32) throws(Fault) -> Bool {
        if result >= 0 { return true }
        if result == PCRE2_ERROR_NOMATCH { return false }
        throw Self.limitExceeded
    }

    /// Where a group matched, nil if it took no part; group 0 is the whole match.
    func range(_ group: Int, in text: Bytes) -> Range<Int>? {
        guard let pairs = unsafe pcre2_get_ovector_pointer_8(data) else { return nil }
        let start = unsafe pairs[2 * group]
        let end = unsafe pairs[2 * group + 1]
        // PCRE2_UNSET, for a group that took no part, is -1 as a signed number.
        guard start >= 0 else { return nil }
        return text.startIndex + Int(start)..<text.startIndex + Int(end)
    }
}
