/// Functions of text. Positions and lengths count characters; case is that of collation "C": ASCII letters only.
enum TextFunctions {
    static let all: [String: [Signature]] = lengths.merging(cases) { a, _ in a }.merging(parts) {
        a, _ in a
    }
    .merging(searches) { a, _ in a }.merging(changes) { a, _ in a }.merging(digests) { a, _ in a }

    private static let lengths: [String: [Signature]] = {
        let length = Signature(
            .text, result: .int8, Lift.one(.int8) { (text: Bytes) in Int64(UTF8Text.length(text)) })
        return [
            "length": [length], "char_length": [length], "character_length": [length],
            "octet_length": [
                Signature(.text, result: .int8, Lift.one(.int8) { (text: Bytes) in Int64(text.count) })
            ],
            "bit_length": [
                Signature(.text, result: .int8, Lift.one(.int8) { (text: Bytes) in Int64(text.count * 8) })
            ],
            "ascii": [
                Signature(.text, result: .int8, Lift.one(.int8) { (text: Bytes) in firstCodePoint(text) })
            ],
        ]
    }()

    private static let cases: [String: [Signature]] = [
        "lower": [Signature(.text, result: .text, recased { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 })],
        "upper": [Signature(.text, result: .text, recased { $0 &- 0x61 < 26 ? $0 & ~0x20 : $0 })],
        "initcap": [
            Signature(
                .text, result: .text,
                Lift.text { (text: Bytes, output: inout [UInt8]) in
                    var inWord = false
                    for byte in text {
                        let isLetter = (byte | 0x20) &- 0x61 < 26
                        output.append(isLetter ? (inWord ? byte | 0x20 : byte & ~0x20) : byte)
                        inWord = isLetter || byte &- 0x30 < 10
                    }
                }.making(.ofOperandsOrBytes))
        ],
    ]

    private static let parts: [String: [Signature]] = {
        let substring = [
            Signature(
                .text, .int8, result: .text,
                Lift.two(.text) { (text: Bytes, start: Int64) in
                    text[UTF8Text.advance(text, from: text.startIndex, by: Int(max(start, 1) - 1))...]
                }
            ).int4(1),
            Signature(.text, .int8, .int8, result: .text, Lift.three(.text, canFault: true, part)).int4(1, 2),
        ]
        return [
            "substr": substring,
            "substring": substring,
            "left": [
                Signature(
                    .text, .int8, result: .text,
                    Lift.two(.text) { (text: Bytes, count: Int64) in
                        let limit = Int(max(min(count, Int64(Int32.max)), -Int64(Int32.max)))
                        return limit >= 0
                            ? text[..<UTF8Text.advance(text, from: text.startIndex, by: limit)]
                            : text[..<UTF8Text.retreat(text, by: -limit)]
                    }
                ).int4(1)
            ],
            "right": [
                Signature(
                    .text, .int8, result: .text,
                    Lift.two(.text) { (text: Bytes, count: Int64) in
                        let limit = Int(max(min(count, Int64(Int32.max)), -Int64(Int32.max)))
                        return limit >= 0
                            ? text[UTF8Text.retreat(text, by: limit)...]
                            : text[UTF8Text.advance(text, from: text.startIndex, by: -limit)...]
                    }
                ).int4(1)
            ],
            "btrim": trims(leading: true, trailing: true), "ltrim": trims(leading: true, trailing: false),
            "rtrim": trims(leading: false, trailing: true),
            "split_part": [
                Signature(.text, .text, .int8, result: .text, Lift.three(.text, canFault: true, splitPart)).int4(2)
            ],
        ]
    }()

    private static let searches: [String: [Signature]] = [
        "strpos": [Signature(.text, .text, result: .int8, Lift.two(.int8, position))],
        "position": [Signature(.text, .text, result: .int8, Lift.two(.int8, position))],
        "starts_with": [
            Signature(
                .text, .text, result: .bool,
                Lift.two(.bool) { (text: Bytes, prefix: Bytes) in
                    text.starts(with: prefix)
                })
        ],
    ]

    /// Text of the same length, byte for byte.
    private static func recased(_ change: @escaping @Sendable (UInt8) -> UInt8) -> Kernel {
        Lift.text { (text: Bytes, output: inout [UInt8]) in
            let start = output.count
            output.append(contentsOf: text)
            for index in start..<output.count { output[index] = change(output[index]) }
        }.making(.ofOperandsOrBytes)
    }

    private static func position(_ text: Bytes, _ needle: Bytes) -> Int64? {
        guard let place = UTF8Text.find(needle, in: text) else { return 0 }
        return Int64(UTF8Text.length(text[..<place]) + 1)
    }

    private static func firstCodePoint(_ text: Bytes) -> Int64 {
        guard !text.isEmpty else { return 0 }
        let character = UTF8Text.character(text, at: text.startIndex)
        return Int64(String(decoding: character, as: UTF8.self).unicodeScalars.first?.value ?? 0)
    }

    private static func part(_ text: Bytes, _ start: Int64, _ count: Int64) throws(Fault) -> Bytes? {
        if count < 0 { throw Fault("invalid_argument", "negative substring length not allowed") }
        let (end, overflow) = start.addingReportingOverflow(count)
        let first = max(start, 1)
        guard overflow || end > first else { return text[text.startIndex..<text.startIndex] }
        let from = UTF8Text.advance(text, from: text.startIndex, by: Int(first - 1))
        let length = overflow ? Int.max : Int(end - first)
        return text[from..<UTF8Text.advance(text, from: from, by: length)]
    }

    private static func trims(leading: Bool, trailing: Bool) -> [Signature] {
        [
            Signature(
                .text, result: .text,
                Lift.one(.text) { (text: Bytes) in
                    var (start, end) = (text.startIndex, text.endIndex)
                    while leading, start < end, text[start] == 0x20 { start += 1 }
                    while trailing, end > start, text[end - 1] == 0x20 { end -= 1 }
                    return text[start..<end]
                }),
            Signature(
                .text, .text, result: .text,
                Lift.two(.text) { (text: Bytes, set: Bytes) in
                    trim(text, set, leading: leading, trailing: trailing)
                }),
        ]
    }

    private static func trim(_ text: Bytes, _ set: Bytes, leading: Bool, trailing: Bool) -> Bytes {
        var rest = text
        while leading, !rest.isEmpty {
            let character = UTF8Text.character(rest, at: rest.startIndex)
            guard UTF8Text.find(character, in: set) != nil else { break }
            rest = rest.dropFirst(character.count)
        }
        while trailing, !rest.isEmpty {
            let character = rest[UTF8Text.retreat(rest, by: 1)...]
            guard UTF8Text.find(character, in: set) != nil else { break }
            rest = rest.dropLast(character.count)
        }
        return rest
    }

    private static func splitPart(_ text: Bytes, _ delimiter: Bytes, _ number: Int64) throws(Fault)
        -> Bytes?
    {
        if number == 0 { throw .invalid("field position must not be zero") }
        let none = text[text.startIndex..<text.startIndex]
        if text.isEmpty { return none }
        if delimiter.isEmpty { return number == 1 || number == -1 ? text : none }
        var wanted = number
        if wanted < 0 {
            var fields: Int64 = 1
            var index = text.startIndex
            while let place = UTF8Text.find(delimiter, in: text, from: index) {
                fields += 1
                index = place + delimiter.count
            }
            wanted += fields + 1
            if wanted < 1 { return none }
        }
        var start = text.startIndex
        while let place = UTF8Text.find(delimiter, in: text, from: start) {
            if wanted == 1 { return text[start..<place] }
            wanted -= 1
            start = place + delimiter.count
        }
        return wanted == 1 ? text[start...] : none
    }
}
