/// Patterns of SIMILAR TO.
enum SimilarPattern {
    /// The same as a regular expression, as PostgreSQL's `similar_to_escape` writes it.
    ///
    /// - Parameter escape: one character, or none.
    static func translate(_ pattern: String, escape: String) throws(RegexTranslator.Refusal) -> String {
        guard escape.unicodeScalars.count <= 1 else {
            throw RegexTranslator.Refusal(message: "invalid escape string")
        }
        var output = "^(?:"
        var (isEscaped, isInBrackets) = (false, false)
        for scalar in pattern.unicodeScalars {
            if isEscaped {
                isEscaped = false
                guard scalar != "\"" || isInBrackets else {
                    throw RegexTranslator.Refusal(message: "the separator \\\" is not supported in SIMILAR TO")
                }
                output += "\\\(scalar)"
            } else if scalar == escape.unicodeScalars.first {
                isEscaped = true
            } else if isInBrackets {
                output += scalar == "\\" ? "\\\\" : String(scalar)
                if scalar == "]" { isInBrackets = false }
            } else {
                isInBrackets = scalar == "["
                output += Self.outside(scalar)
            }
        }
        return output + ")$"
    }

    private static func outside(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "%": ".*"
        case "_": "."
        case "(": "(?:"
        case "\\", ".", "^", "$": "\\\(scalar)"
        default: String(scalar)
        }
    }
}
