import Catalog
import Records

/// The parameters that a text declares, as its uses agree on them. What they do not agree on is noted in the reader.
struct TemplateDeclarations {
    private(set) var parameters: [EndpointParameter] = []
    /// By name, the place in `parameters`.
    private(set) var numbers: [String: Int] = [:]

    init(_ reader: inout TemplateReader) {
        for use in reader.uses where use.type != nil { declare(use, &reader) }
        for use in reader.uses where use.type == nil && numbers[use.name] == nil {
            reader.fault(
                "the parameter \(use.name) has no type: write {{\(use.name):type}} once", at: use.range.lowerBound)
        }
        if parameters.count > EndpointParameter.maximumCount, let last = reader.uses.last {
            reader.fault("more than \(EndpointParameter.maximumCount) parameters", at: last.range.lowerBound)
        }
        for quote in reader.quotes { checkQuote(quote, &reader) }
    }

    private mutating func declare(_ use: TemplateReader.Use, _ reader: inout TemplateReader) {
        let place = use.range.lowerBound
        guard ResourceName(use.name) != nil else {
            return reader.fault(
                "\"\(use.name.prefix(64))\" is no parameter's name: a letter a-z, then at most 47 letters a-z, digits "
                    + "and _", at: place)
        }
        guard !EndpointParameter.reservedNames.contains(use.name) else {
            return reader.fault("\(use.name) is asked of every endpoint; name the parameter otherwise", at: place)
        }
        guard let type = use.type.flatMap(ColumnType.init) else {
            let types = ColumnType.allCases.map(\.rawValue).joined(separator: ", ")
            return reader.fault(
                "there is no type \"\(use.type?.prefix(64) ?? "")\"; expected one of \(types)", at: place)
        }
        do throws(ParameterFault) {
            let standing = try Self.standing(use.value, type)
            let parameter = EndpointParameter(name: use.name, type: type, standing: standing)
            guard let number = numbers[use.name] else {
                numbers[use.name] = parameters.count
                parameters.append(parameter)
                return
            }
            if parameters[number] != parameter {
                reader.fault("\(use.name) is declared twice, differently; {{\(use.name)}} names it again", at: place)
            }
        } catch {
            reader.fault("the default of \(use.name): \(error.message)", at: place)
        }
    }

    private static func standing(
        _ value: TemplateReader.Default?, _ type: ColumnType
    ) throws(ParameterFault) -> EndpointParameter.Standing {
        switch value {
        case nil: return .required
        case .word(let word) where word.utf8.count == 4 && word.lowercased() == "null": return .optional(nil)
        case .word(let text), .quoted(let text):
            return .optional(try EndpointParameter.text(of: text, as: type))
        }
    }

    /// A parameter within quotes would be a part of the text. Two braces alone are not one: `'{{1,2},{3,4}}'`.
    private func checkQuote(_ range: Range<Int>, _ reader: inout TemplateReader) {
        var at = range.lowerBound
        while at + 1 < range.upperBound {
            guard reader.text[at] == UInt8(ascii: "{"), reader.text[at + 1] == UInt8(ascii: "{") else {
                at += 1
                continue
            }
            let inside = reader.text[(at + 2)..<range.upperBound]
            let name = inside.prefix { $0 | 0x20 &- 0x61 < 26 || $0 &- 0x30 < 10 || $0 == UInt8(ascii: "_") }
            let rest = inside.dropFirst(name.count)
            let text = String(decoding: name, as: UTF8.self)
            let isMeant = rest.first == UInt8(ascii: ":") || (rest.starts(with: "}}".utf8) && numbers[text] != nil)
            if !name.isEmpty, isMeant {
                reader.fault(
                    "{{\(text)… stands in quotes, where no value can be bound; put it outside and join by ||", at: at)
            }
            at += 2
        }
    }
}
