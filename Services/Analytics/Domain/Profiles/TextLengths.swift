/// How many characters texts have.
struct TextLengths: Sendable {
    private(set) var least = Int.max
    private(set) var greatest = 0
    private var total = 0
    private var count = 0

    var mean: Double? { count > 0 ? Double(total) / Double(count) : nil }

    mutating func add(_ text: Span<UInt8>) {
        var characters = 0
        for at in text.indices { characters += text[at] & 0xC0 == 0x80 ? 0 : 1 }
        least = min(least, characters)
        greatest = max(greatest, characters)
        total += characters
        count += 1
    }
}
