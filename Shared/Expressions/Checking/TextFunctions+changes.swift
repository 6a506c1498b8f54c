private import COpenSSL

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
                })
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
                })
        ],
        "to_hex": [
            Signature(
                .int8, result: .text,
                Lift.text { (value: Int64, output: inout [UInt8]) in
                    output.append(contentsOf: String(UInt64(bitPattern: value), radix: 16).utf8)
                })
        ],
    ]

    /// Digests in hexadecimal; those other than md5 are reached as `encode(sha256(x), 'hex')`.
    static let digests: [String: [Signature]] = [
        "md5": [Signature(.text, result: .text, digest("MD5"))]
    ]

    /// OpenSSL's names of the digests that `encode` takes.
    static let encodable = ["sha224": "SHA224", "sha256": "SHA256", "sha384": "SHA384", "sha512": "SHA512"]

    static func digest(_ name: String) -> Kernel {
        Kernel(canFault: false) { arguments, frame, evaluation in
            let texts = BytesBuffer(arguments[0].values)
            let mask = arguments[0].mask
            let method = unsafe EVP_get_digestbyname(name)
            var hash = [UInt8](repeating: 0, count: 64)
            return Lift.build(.text, arguments, frame, &evaluation) { (index, output) throws(Fault) in
                let text = texts[index & mask]
                var length: UInt32 = 0
                let isDone = unsafe text.withUnsafeBytes { source in
                    unsafe hash.withUnsafeMutableBufferPointer { target in
                        unsafe EVP_Digest(source.baseAddress, source.count, target.baseAddress, &length, method, nil)
                    }
                }
                precondition(isDone == 1, "OpenSSL refused to hash")
                for byte in hash[..<Int(length)] { ValueOutput.hex(byte, to: &output) }
            }
        }
    }

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

    private static func pads(left: Bool) -> [Signature] {
        [
            Signature(
                .text, .int8, result: .text,
                Lift.text(canFault: true) {
                    (text: Bytes, length: Int64, output: inout [UInt8]) throws(Fault) in
                    try pad(text, length, [0x20], left: left, &output)
                }),
            Signature(
                .text, .int8, .text, result: .text,
                Lift.text(canFault: true) {
                    (text: Bytes, length: Int64, fill: Bytes, output: inout [UInt8]) throws(Fault) in
                    try pad(text, length, fill, left: left, &output)
                }),
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
