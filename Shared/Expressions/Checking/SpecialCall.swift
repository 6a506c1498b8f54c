/// What is written as a call and is not chosen by the types of its arguments alone: the checker knows each by name.
enum SpecialCall: String, CaseIterable, Sendable {
    case coalesce, greatest, least, nullif, concat
    case concatWithSeparator = "concat_ws"
    case countNulls = "num_nulls"
    case countNonNulls = "num_nonnulls"
    case regexpLike = "regexp_like"
    case regexpCount = "regexp_count"
    case regexpInstr = "regexp_instr"
    case regexpSubstr = "regexp_substr"
    case regexpReplace = "regexp_replace"
    case jsonbExtractPath = "jsonb_extract_path"
    case jsonbExtractPathText = "jsonb_extract_path_text"
    case jsonbBuildArray = "jsonb_build_array"
    case jsonbBuildObject = "jsonb_build_object"
    case toJSONB = "to_jsonb"
    /// `ARRAY[…]` of texts; nobody can call it by this name.
    case array = "array[]"
    /// `x SIMILAR TO pattern`.
    case similar = "similar to"

    /// The places of arguments that PostgreSQL takes as int4.
    var narrow: Set<Int> {
        switch self {
        case .regexpCount: [2]
        case .regexpInstr: [2, 3, 4, 6]
        case .regexpSubstr: [2, 3, 5]
        case .regexpReplace: [3, 4]
        default: []
        }
    }
}
