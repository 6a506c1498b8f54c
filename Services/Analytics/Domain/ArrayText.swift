import Records

extension ValueText {
    /// Appends an array, `{1,NULL,"a b"}` or `[0:1]={{1},{2}}`, as a JSON array.
    static func append(
        array text: Span<UInt8>, of element: ValueShape, _ numbers: NumberStyle, into output: inout [UInt8]
    ) {
        var at = 0
        // Bounds, if they are not the usual ones, come first and end with an equals sign.
        if !text.isEmpty, text[0] == 0x5B {
            while at < text.count, text[at] != 0x3D { at += 1 }
            at += 1
        }
        var needsComma = false
        while at < text.count {
            switch text[at] {
            case 0x7B:
                if needsComma { output.append(0x2C) }
                output.append(0x5B)
                needsComma = false
                at += 1
            case 0x7D:
                output.append(0x5D)
                needsComma = true
                at += 1
            case 0x2C: at += 1
            default:
                if needsComma { output.append(0x2C) }
                needsComma = true
                at = appendElement(text, from: at, element, numbers, into: &output)
            }
        }
    }

    /// Appends the element that begins at `start`, and gives the place behind it.
    private static func appendElement(
        _ text: Span<UInt8>, from start: Int, _ element: ValueShape, _ numbers: NumberStyle,
        into output: inout [UInt8]
    ) -> Int {
        var at = start
        guard text[start] == 0x22 else {
            while at < text.count, text[at] != 0x2C, text[at] != 0x7D { at += 1 }
            let plain = text.extracting(start..<at)
            if isNull(plain) {
                output.append(contentsOf: "null".utf8)
            } else {
                appendJSON(plain, element, numbers, into: &output)
            }
            return at
        }
        var value: [UInt8] = []
        at += 1
        while at < text.count, text[at] != 0x22 {
            if text[at] == 0x5C { at += 1 }
            if at < text.count { value.append(text[at]) }
            at += 1
        }
        appendJSON(value.span, element, numbers, into: &output)
        return at + 1
    }

    /// The word NULL without quotes; a text of that name has them.
    private static func isNull(_ text: Span<UInt8>) -> Bool {
        text.count == 4 && text[0] | 0x20 == 0x6E && text[1] | 0x20 == 0x75 && text[2] | 0x20 == 0x6C
            && text[3] | 0x20 == 0x6C
    }
}
