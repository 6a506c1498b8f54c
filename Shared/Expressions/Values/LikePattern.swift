/// A LIKE pattern: `%` for any text, `_` for one character, and an escape.
struct LikePattern: Sendable {
    private enum Element: Hashable, Sendable {
        case literal([UInt8])
        case anyCharacter
        case anyText
        /// An escape with nothing behind it: a fault once the matching comes here.
        case danglingEscape
    }

    /// Shapes that need no search through the elements.
    private enum Shape: Sendable { case exact([UInt8]), prefix([UInt8]), suffix([UInt8]), contains([UInt8]), general }

    private let elements: [Element]
    private let shape: Shape
    private let ignoresCase: Bool

    /// - Parameter escape: the escape character's bytes; empty for none.
    init(_ pattern: Bytes, escape: Bytes, ignoresCase: Bool) {
        var elements: [Element] = []
        var literal: [UInt8] = []
        func flush() {
            if !literal.isEmpty { elements.append(.literal(literal)) }
            literal = []
        }
        var index = pattern.startIndex
        while index < pattern.endIndex {
            let character = UTF8Text.character(pattern, at: index)
            index = character.endIndex
            if !escape.isEmpty, character.elementsEqual(escape) {
                guard index < pattern.endIndex else {
                    flush()
                    elements.append(.danglingEscape)
                    break
                }
                let escaped = UTF8Text.character(pattern, at: index)
                index = escaped.endIndex
                literal.append(contentsOf: escaped.map { ignoresCase ? Self.folded($0) : $0 })
            } else if character.first == UInt8(ascii: "%") {
                flush()
                if elements.last != .anyText { elements.append(.anyText) }
            } else if character.first == UInt8(ascii: "_") {
                flush()
                elements.append(.anyCharacter)
            } else {
                literal.append(contentsOf: character.map { ignoresCase ? Self.folded($0) : $0 })
            }
        }
        flush()
        self.elements = elements
        self.ignoresCase = ignoresCase
        shape = ignoresCase ? .general : Self.shape(elements)
    }

    private static func folded(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

    private static func shape(_ elements: [Element]) -> Shape {
        switch elements.count {
        case 0: return .exact([])
        case 1: if case .literal(let text) = elements[0] { return .exact(text) }
        case 2:
            if case .literal(let text) = elements[0], elements[1] == .anyText { return .prefix(text) }
            if elements[0] == .anyText, case .literal(let text) = elements[1] { return .suffix(text) }
        case 3:
            if elements[0] == .anyText, case .literal(let text) = elements[1], elements[2] == .anyText {
                return .contains(text)
            }
        default: break
        }
        return .general
    }

    func matches(_ text: Bytes) throws(Fault) -> Bool {
        switch shape {
        case .exact(let wanted): return text.count == wanted.count && text.elementsEqual(wanted)
        case .prefix(let wanted): return text.starts(with: wanted)
        case .suffix(let wanted): return text.count >= wanted.count && text.suffix(wanted.count).elementsEqual(wanted)
        case .contains(let wanted): return UTF8Text.find(wanted[...], in: text) != nil
        case .general: return try search(text)
        }
    }

    /// Goes back only to the last `%`, which suffices, so that the time is bounded by text × pattern.
    private func search(_ text: Bytes) throws(Fault) -> Bool {
        var (place, element) = (text.startIndex, 0)
        var retry: (place: Int, element: Int)?
        while true {
            if element < elements.count, let next = try step(elements[element], text, place) {
                if elements[element] == .anyText {
                    if element + 1 == elements.count { return true }
                    retry = (place, element + 1)
                }
                place = next
                element += 1
                continue
            }
            if element == elements.count, place == text.endIndex { return true }
            guard let last = retry, last.place < text.endIndex else { return false }
            place = UTF8Text.advance(text, from: last.place, by: 1)
            element = last.element
            retry = (place, element)
        }
    }

    /// Where matching goes on after an element; nil if it does not match here.
    private func step(_ element: Element, _ text: Bytes, _ place: Int) throws(Fault) -> Int? {
        switch element {
        case .anyText: return place
        case .anyCharacter: return place < text.endIndex ? UTF8Text.advance(text, from: place, by: 1) : nil
        case .danglingEscape:
            guard place < text.endIndex else { return nil }
            throw Fault("invalid_argument", "LIKE pattern must not end with escape character")
        case .literal(let wanted):
            guard text.endIndex - place >= wanted.count else { return nil }
            var index = place
            for byte in wanted {
                guard (ignoresCase ? Self.folded(text[index]) : text[index]) == byte else { return nil }
                index += 1
            }
            return index
        }
    }

    /// The kernel of LIKE or ILIKE over text, pattern and, perhaps, escape.
    static func kernel(ignoresCase: Bool, negated: Bool) -> Kernel {
        Kernel(canFault: true) { arguments, frame, evaluation in
            let texts = BytesBuffer(arguments[0].values)
            let patterns = BytesBuffer(arguments[1].values)
            let escapes = arguments.count > 2 ? BytesBuffer(arguments[2].values) : nil
            let masks = arguments.map(\.mask)
            let backslash: Bytes = [UInt8(ascii: "\\")]
            func pattern(_ index: Int) throws(Fault) -> LikePattern {
                let escape = escapes.map { $0[index & masks[2]] } ?? backslash
                guard UTF8Text.length(escape) <= 1 else {
                    throw Fault("invalid_argument", "invalid escape string")
                }
                return LikePattern(patterns[index & masks[1]], escape: escape, ignoresCase: ignoresCase)
            }
            let isFixed = arguments.dropFirst().allSatisfy { $0.isConstant && $0.valid[0] != 0 }
            let fixed = isFixed ? try? pattern(0) : nil
            return Lift.run(.bool, arguments, frame, &evaluation) { (index) throws(Fault) -> Bool? in
                if let fixed { return try fixed.matches(texts[index & masks[0]]) != negated }
                return try pattern(index).matches(texts[index & masks[0]]) != negated
            }
        }
    }
}
