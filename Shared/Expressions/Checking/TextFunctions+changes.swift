extension TextFunctions {
    static let changes: [String: [Signature]] = [
        "replace": [Signature(.text, .text, .text, result: .text, Lift.text(canFault: true, replace))],
        "translate": [Signature(.text, .text, .text, result: .text, Lift.text(translate))],
        "repeat": [
            Signature(
                .text, .int8, result: .text,
                Lift.text(canFault: true) {
                    (text: Bytes, count: Int64, output: inout [UInt8]) throws(Fault) in
                    let (length, overflow) = Int64(text.count).multipliedReportingOverflow(by: max(count, 0))
                    guard !overflow, length <= Lift.maximumLength else { throw .tooLong }
                    guard !text.isEmpty else { return }
                    for _ in 0..<max(count, 0) { output.append(contentsOf: text) }
                }
            ).int4(1)
        ],
        "reverse": [
            Signature(
                .text, result: .text,
                Lift.text { (text: Bytes, output: inout [UInt8]) in
                    var rest = text
                    while !rest.isEmpty {
                        let place = UTF8Text.retreat(rest, by: 1)
                        output.append(contentsOf: rest[place...])
                        rest = rest[..<place]
                    }
                })
        ],
        "overlay": [
            Signature(
                .text, .text, .int8, result: .text,
                Lift.text(canFault: true) {
                    (text: Bytes, patch: Bytes, start: Int64, output: inout [UInt8]) throws(Fault) in
                    try overlay(text, patch, start, Int64(UTF8Text.length(patch)), &output)
                }
            ).int4(2),
            Signature(
                .text, .text, .int8, .int8, result: .text,
                Kernel(canFault: true) { arguments, frame, evaluation in
                    let (texts, patches) = (BytesBuffer(arguments[0].values), BytesBuffer(arguments[1].values))
                    let (starts, counts) = (IntBuffer(arguments[2].values), IntBuffer(arguments[3].values))
                    let masks = arguments.map(\.mask)
                    return Lift.build(.text, arguments, frame, &evaluation) { (index, output) throws(Fault) in
                        try overlay(
                            texts[index & masks[0]], patches[index & masks[1]], starts[index & masks[2]],
                            counts[index & masks[3]], &output)
                    }
                }
            ).int4(2, 3),
        ],
        "lpad": pads(left: true), "rpad": pads(left: false),
        "chr": [
            Signature(
                .int8, result: .text,
                Lift.text(canFault: true) {
                    (value: Int64, output: inout [UInt8]) throws(Fault) in
                    if value == 0 { throw Fault("limit_exceeded", "null character not permitted") }
                    guard let value = UInt32(exactly: value), value <= 0x10FFFF, value & ~0x7FF != 0xD800 else {
                        throw Fault("limit_exceeded", "requested character too large for encoding: \(value)")
                    }
                    UTF8Text.append(value, to: &output)
                }
            ).int4(0)
        ],
        "to_hex": [
            Signature(
                .int8, result: .text,
                Lift.text { (value: Int64, output: inout [UInt8]) in
                    output.append(contentsOf: String(UInt64(bitPattern: value), radix: 16).utf8)
                })
        ],
    ]

    static let digests: [String: [Signature]] = [
        "md5": [Signature(.text, result: .text, ByteFunctions.digest("MD5", .text))]
    ]

    private static func replace(
        _ text: Bytes, _ from: Bytes, _ to: Bytes, _ output: inout [UInt8]
    ) throws(Fault) {
        guard !from.isEmpty else { return output.append(contentsOf: text) }
        var start = text.startIndex
        let before = output.count
        while let place = UTF8Text.find(from, in: text, from: start) {
            output.append(contentsOf: text[start..<place])
            output.append(contentsOf: to)
            start = place + from.count
            guard output.count - before <= Lift.maximumLength else { throw .tooLong }
        }
        output.append(contentsOf: text[start...])
    }

    private static func translate(_ text: Bytes, _ from: Bytes, _ to: Bytes, _ output: inout [UInt8]) {
        var index = text.startIndex
        while index < text.endIndex {
            let character = UTF8Text.character(text, at: index)
            index = character.endIndex
            guard let place = UTF8Text.find(character, in: from) else {
                output.append(contentsOf: character)
                continue
            }
            let number = UTF8Text.length(from[..<place])
            let target = UTF8Text.advance(to, from: to.startIndex, by: number)
            if target < to.endIndex { output.append(contentsOf: UTF8Text.character(to, at: target)) }
        }
    }

    /// Puts a text in the place of `count` characters from the one numbered `start`.
    private static func overlay(
        _ text: Bytes, _ patch: Bytes, _ start: Int64, _ count: Int64, _ output: inout [UInt8]
    ) throws(Fault) {
        guard start > 0 else { throw Fault("invalid_argument", "negative substring length not allowed") }
        let (end, overflow) = start.addingReportingOverflow(count)
        guard !overflow, Int32(exactly: end) != nil else { throw .range("integer out of range") }
        output.append(contentsOf: text[..<UTF8Text.advance(text, from: text.startIndex, by: Int(start - 1))])
        output.append(contentsOf: patch)
        output.append(contentsOf: text[UTF8Text.advance(text, from: text.startIndex, by: Int(max(end - 1, 0)))...])
    }

    private static func pads(left: Bool) -> [Signature] {
        [
            Signature(
                .text, .int8, result: .text,
                Lift.text(canFault: true) {
                    (text: Bytes, length: Int64, output: inout [UInt8]) throws(Fault) in
                    try pad(text, length, [0x20], left: left, &output)
                }
            ).int4(1),
            Signature(
                .text, .int8, .text, result: .text,
                Lift.text(canFault: true) {
                    (text: Bytes, length: Int64, fill: Bytes, output: inout [UInt8]) throws(Fault) in
                    try pad(text, length, fill, left: left, &output)
                }
            ).int4(1),
        ]
    }

    private static func pad(
        _ text: Bytes, _ length: Int64, _ fill: Bytes, left: Bool, _ output: inout [UInt8]
    ) throws(Fault) {
        guard length <= Lift.maximumLength else { throw .tooLong }
        let wanted = max(Int(length), 0)
        let own = UTF8Text.length(text)
        guard own < wanted, !fill.isEmpty else {
            return output.append(contentsOf: text[..<UTF8Text.advance(text, from: text.startIndex, by: wanted)])
        }
        if !left { output.append(contentsOf: text) }
        var missing = wanted - own
        let width = UTF8Text.length(fill)
        while missing > 0 {
            let end =
                missing >= width
                ? fill.endIndex : UTF8Text.advance(fill, from: fill.startIndex, by: missing)
            output.append(contentsOf: fill[..<end])
            missing -= width
        }
        if left { output.append(contentsOf: text) }
    }
}

extension Fault {
    static var tooLong: Fault { Fault("limit_exceeded", "requested length too large") }
}
