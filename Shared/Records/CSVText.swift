/// Writes CSV (RFC 4180).
public enum CSVText {
    /// Appends text as a field: in quotes where it is empty, as NULL is nothing, or holds a comma, quote or line end.
    public static func append(_ text: Span<UInt8>, into output: inout [UInt8]) {
        var isPlain = !text.isEmpty
        for at in text.indices {
            let byte = text[at]
            if byte == 0x22 || byte == 0x2C || byte == 0x0A || byte == 0x0D { isPlain = false }
        }
        if isPlain { return JSONText.append(text, into: &output) }
        output.append(0x22)
        for at in text.indices {
            if text[at] == 0x22 { output.append(0x22) }
            output.append(text[at])
        }
        output.append(0x22)
    }
}
