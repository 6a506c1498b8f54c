private import CUnicode

/// Text of collation `und-x-icu`: case and order as ICU's root locale has them, which is what PostgreSQL asks.
///
/// Of ICU's versions the order may differ, and the case of characters that one of them does not know yet.
enum UnicodeText {
    enum Form: Sendable { case lower, upper, title }

    private static let failure = Fault("invalid_argument", "ICU cannot read the text")

    /// Appends a text in another case, which may have another length.
    static func append(_ text: Bytes, as form: Form, to output: inout [UInt8]) throws(Fault) {
        guard let length = Int32(exactly: text.count) else { throw failure }
        var capacity = length + 16
        // ICU says what it needs when it has too little.
        for _ in 0..<2 {
            var needed: Int32 = -1
            let mapped = unsafe [UInt8](unsafeUninitializedCapacity: Int(capacity)) { buffer, count in
                unsafe text.withUnsafeBufferPointer { text in
                    unsafe text.withMemoryRebound(to: CChar.self) { text in
                        unsafe buffer.withMemoryRebound(to: CChar.self) { buffer in
                            needed = unsafe mr_unicode_recase(
                                form.code, text.baseAddress, length, buffer.baseAddress, capacity)
                        }
                    }
                }
                count = Int(max(0, min(needed, capacity)))
            }
            guard needed >= 0 else { throw failure }
            if needed <= capacity { return output.append(contentsOf: mapped) }
            capacity = needed
        }
    }

    /// -1, 0 or 1 by the root order; texts that are equal in it by bytes.
    static func compare(_ left: Bytes, _ right: Bytes) throws(Fault) -> Int {
        guard let leftLength = Int32(exactly: left.count), let rightLength = Int32(exactly: right.count) else {
            throw failure
        }
        let order = unsafe left.withUnsafeBufferPointer { left in
            unsafe right.withUnsafeBufferPointer { right in
                unsafe left.withMemoryRebound(to: CChar.self) { left in
                    unsafe right.withMemoryRebound(to: CChar.self) { right in
                        unsafe mr_unicode_compare(left.baseAddress, leftLength, right.baseAddress, rightLength)
                    }
                }
            }
        }
        guard order > -2 else { throw failure }
        return order == 0 ? UTF8Text.compare(left, right) : Int(order)
    }
}

extension UnicodeText.Form {
    fileprivate var code: Int32 {
        switch self {
        case .lower: Int32(MR_LOWER)
        case .upper: Int32(MR_UPPER)
        case .title: Int32(MR_TITLE)
        }
    }
}
