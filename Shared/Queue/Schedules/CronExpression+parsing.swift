extension CronExpression {
    static func fields(_ given: [Substring]) throws(CronFault) -> [Substring] {
        if given.count == 1, given[0].hasPrefix("@") {
            guard let meaning = nicknames.first(where: { $0.key == given[0] }) else {
                let known = nicknames.map(\.key).joined(separator: ", ")
                throw CronFault(nil, "\"\(given[0])\" is none of \(known)")
            }
            return meaning.value.split(separator: " ")
        }
        guard given.count == CronField.allCases.count else {
            let names = CronField.allCases.map(\.rawValue).joined(separator: ", ")
            throw CronFault(nil, "expected five fields (\(names)), found \(given.count)")
        }
        return given
    }

    static func set(_ text: Substring, _ field: CronField) throws(CronFault) -> CronSet {
        var set = CronSet()
        set.isOpen = text.hasPrefix("*")
        for item in text.split(separator: ",", omittingEmptySubsequences: false) {
            let (range, step) = try item.range(of: field)
            for value in stride(from: range.lowerBound, through: range.upperBound, by: step) {
                set.insert(field == .dayOfWeek ? value % 7 : value)
            }
        }
        return set
    }
}

extension Substring {
    /// What one item of a field's list stands for.
    fileprivate func range(of field: CronField) throws(CronFault) -> (ClosedRange<Int>, step: Int) {
        let parts = split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let base = parts.first ?? ""
        guard !base.isEmpty else { throw CronFault(field, isEmpty ? "is empty between commas" : "/ follows nothing") }
        guard parts.count == 2 else { return (try base.span(of: field), 1) }
        guard base == "*" || base.contains("-") else {
            throw CronFault(field, "\"\(self)\": a step goes with * or a range, as in *\(dropFirst(base.count))")
        }
        let steps = 1...field.range.upperBound
        guard let step = parts[1].number, steps.contains(step) else {
            throw CronFault(field, "\"\(self)\": a step is \(steps.lowerBound) to \(steps.upperBound)")
        }
        return (try base.span(of: field), step)
    }

    /// `*`, a value or a range.
    private func span(of field: CronField) throws(CronFault) -> ClosedRange<Int> {
        if self == "*" { return field.all }
        let ends = split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let low = try ends[0].value(of: field)
        guard ends.count == 2 else { return low...low }
        var high = try ends[1].value(of: field)
        // FRI-SUN: at the end of a range Sunday is 7.
        if field == .dayOfWeek, high == 0, low > 0 { high = 7 }
        guard low <= high else { throw CronFault(field, "\"\(self)\" runs backwards; write two ranges") }
        return low...high
    }

    private func value(of field: CronField) throws(CronFault) -> Int {
        if let number, field.range.contains(number) { return number }
        if let index = field.names.firstIndex(of: lowercased()) { return field.range.lowerBound + index }
        throw CronFault(field, "\"\(self)\" is not \(field.expectation)")
    }

    /// One or two digits.
    private var number: Int? {
        (1...2).contains(utf8.count) && utf8.allSatisfy { $0 &- 0x30 < 10 } ? Int(self) : nil
    }
}
