/// The ranges that a request asks for: `bytes=0-499, -500` (RFC 9110, section 14.1.2).
public struct ByteRangeSet: Sendable, Hashable {
    /// One member, before the length of the content is known.
    public enum Spec: Sendable, Hashable {
        /// From one octet through another one, both counted from zero.
        case octets(first: Int, last: Int)
        /// From one octet to the end.
        case from(Int)
        /// So many octets at the end.
        case suffix(Int)
    }

    /// What is to be sent of content.
    public enum Selection: Sendable, Hashable {
        /// All of it, as if no range had been asked for.
        case whole
        /// These, at least one; none is empty, none meets another one.
        case parts([Range<Int>])
        /// No range lies within the content: 416.
        case unsatisfiable
    }

    /// Ranges in one request; with more it is ignored, as section 14.2 allows.
    public static let limit = 32
    /// Octets of the field.
    static let fieldLimit = 2048
    /// Octets between two ranges that are sent rather than the headings of another part (section 15.3.7.2).
    static let gap = 128

    public let specs: [Spec]

    /// Nil where the request's `Range` is to be ignored: there is none, it is repeated, or as below.
    public init?(_ head: HTTPRequestHead) {
        guard let octets = head.octets(ofOnly: "range") else { return nil }
        self.init(octets)
    }

    /// Nil for another unit than bytes, what is malformed, an end before its beginning, and more than there may be.
    public init?(_ field: ArraySlice<UInt8>) {
        guard field.count <= ByteRangeSet.fieldLimit, let equals = field.firstIndex(of: UInt8(ascii: "=")),
            Octets.equal(field[..<equals], "bytes")
        else { return nil }
        var specs: [Spec] = []
        for member in Octets.list(field[(equals + 1)...]) {
            guard let spec = Spec(member), specs.count < ByteRangeSet.limit else { return nil }
            specs.append(spec)
        }
        guard !specs.isEmpty else { return nil }
        self.specs = specs
    }

    /// What is to be sent of content of this length. Ranges that overlap, or between which there is little, become
    /// one, in the place of the first.
    public func select(from length: Int) -> Selection {
        var parts: [Range<Int>] = []
        for spec in specs {
            switch spec {
            case .octets(let first, let last) where first < length: parts.append(first..<min(last, length - 1) + 1)
            case .from(let first) where first < length: parts.append(first..<length)
            // Satisfiable by section 14.1.2, and there is no way to write a part that is empty.
            case .suffix(1...) where length == 0: return .whole
            case .suffix(let count) where count > 0: parts.append(max(0, length - count)..<length)
            case .octets, .from, .suffix: break
            }
        }
        return parts.isEmpty ? .unsatisfiable : .parts(ByteRangeSet.coalesced(parts))
    }

    /// Each part takes in those before it that it meets; at most `limit` squared comparisons.
    private static func coalesced(_ parts: [Range<Int>]) -> [Range<Int>] {
        var result: [Range<Int>] = []
        for part in parts {
            var part = part
            var place: Int?
            var index = 0
            while index < result.count {
                let other = result[index]
                guard part.lowerBound <= other.upperBound + gap, other.lowerBound <= part.upperBound + gap else {
                    index += 1
                    continue
                }
                part = min(part.lowerBound, other.lowerBound)..<max(part.upperBound, other.upperBound)
                place = min(place ?? index, index)
                result.remove(at: index)
                // What it has become may meet one that was passed by.
                index = 0
            }
            result.insert(part, at: place ?? result.count)
        }
        return result
    }
}

extension ByteRangeSet.Spec {
    fileprivate init?(_ octets: ArraySlice<UInt8>) {
        guard let dash = octets.firstIndex(of: UInt8(ascii: "-")) else { return nil }
        let (before, after) = (octets[..<dash], octets[(dash + 1)...])
        guard before.allSatisfy(Octets.isDigit), after.allSatisfy(Octets.isDigit) else { return nil }
        switch (ByteRangeSet.Spec.number(before), ByteRangeSet.Spec.number(after)) {
        case (let first?, let last?):
            guard first <= last else { return nil }
            self = .octets(first: first, last: last)
        case (let first?, nil): self = .from(first)
        case (nil, let count?): self = .suffix(count)
        case (nil, nil): return nil
        }
    }

    /// Nil without digits; a number beyond all lengths is the largest there is.
    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard !digits.isEmpty else { return nil }
        var number = 0
        for digit in digits {
            let (product, overflow) = number.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(Int(digit &- 0x30))
            if overflow || carry { return Int.max }
            number = sum
        }
        return number
    }
}
