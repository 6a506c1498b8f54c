import Expressions
import Records

extension Compilation {
    mutating func compile(_ parse: StepDefinition.Parse) -> (any PipelineStep)? {
        guard checkKnown(parse.from, at: "from"), let reader = reader(parse) else {
            // What it would have made is not known, so nothing after it can be called a mistake.
            schema.isOpen = true
            return nil
        }
        let step = ParseStep(reader: reader, from: parse.from)
        // Which fields there will be is not known, as with the records themselves.
        let isOpen = [.json, .logfmt, .queryString].contains(parse.format)
        if parse.from == "line" { reset(isOpen: isOpen) } else { schema[parse.from] = nil }
        if isOpen { schema.isOpen = true }
        for (name, kind) in step.columns ?? parse.columns.map({ ($0, .untyped) }) {
            // A column that has a type keeps it, unless what is parsed has one.
            if kind != .untyped || schema[name] == nil { schema[name] = kind }
        }
        return step
    }

    private mutating func reader(_ parse: StepDefinition.Parse) -> ParseStep.Reader? {
        switch parse.format {
        case .combined: return .log(.combined)
        case .common: return .log(.common)
        case .syslog: return .syslog
        case .url: return .url
        case .logfmt: return .pairs(.logfmt)
        case .queryString: return .pairs(.queryString)
        case .json: return .records(.ndjson, header: [])
        case .csv:
            let isValid = checkList(parse.columns, in: "columns") { $0.checkName($1, at: $2) }
            if Set(parse.columns).count < parse.columns.count { fault("columns", "names a column twice") }
            guard isValid else { return nil }
            let names = parse.columns.map { "\"" + $0.replacing("\"", with: "\"\"") + "\"" }
            return .records(.csv, header: Array(names.joined(separator: ",").utf8))
        case .regex:
            do throws(ExpressionError) {
                let pattern = try NamedGroupPattern(parse.pattern ?? "")
                let valid = pattern.names.map { checkName($0, at: "pattern") }
                return valid.contains(false) ? nil : .regex(pattern)
            } catch {
                fault("pattern", error.description)
                return nil
            }
        }
    }
}
