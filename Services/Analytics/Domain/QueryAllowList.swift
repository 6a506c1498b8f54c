/// What a user's SQL may be made of. Read beside PostgreSQL 15's `pg_proc`: none of these functions writes, waits,
/// reads files, settings or catalogs, signals a process, takes a lock or runs SQL given as text.
enum QueryAllowList {
    /// Node types of the parse tree.
    static let nodes: Set<String> = [
        "A_ArrayExpr", "A_Const", "A_Expr", "A_Indices", "A_Indirection", "A_Star", "Alias", "BitString", "BoolExpr",
        "Boolean", "BooleanTest", "CaseExpr", "CaseWhen", "CoalesceExpr", "CollateClause", "ColumnDef", "ColumnRef",
        "CommonTableExpr", "CTECycleClause", "CTESearchClause", "Float", "FuncCall", "GroupingFunc", "GroupingSet",
        "Integer", "JoinExpr", "List", "MinMaxExpr", "NamedArgExpr", "NullTest", "ParamRef", "RangeFunction",
        "RangeSubselect", "RangeTableSample", "RangeVar", "ResTarget", "RowExpr", "SelectStmt", "SortBy",
        "SQLValueFunction", "String", "SubLink", "TypeCast", "TypeName", "WindowDef", "WithClause",
    ]

    /// A node type as users know it.
    static func describe(node: String) -> String {
        switch node {
        case "InsertStmt": "INSERT"
        case "UpdateStmt": "UPDATE"
        case "DeleteStmt": "DELETE"
        case "MergeStmt": "MERGE"
        case "LockingClause": "FOR UPDATE or FOR SHARE"
        case "XmlExpr", "XmlSerialize", "RangeTableFunc": "XML"
        case "CurrentOfExpr": "WHERE CURRENT OF"
        case "SetToDefault": "DEFAULT"
        default: "this syntax (\(node))"
        }
    }

    /// `current_date` and the like; those that name roles, schemas or the database are left out.
    static let valueFunctions: Set<String> = [
        "SVFOP_CURRENT_DATE", "SVFOP_CURRENT_TIME", "SVFOP_CURRENT_TIME_N", "SVFOP_CURRENT_TIMESTAMP",
        "SVFOP_CURRENT_TIMESTAMP_N", "SVFOP_LOCALTIME", "SVFOP_LOCALTIME_N", "SVFOP_LOCALTIMESTAMP",
        "SVFOP_LOCALTIMESTAMP_N",
    ]

    /// Types that may be cast to; the object identifier types (`regclass` …) are left out, they read the catalog.
    static let types: Set<String> = [
        "bit", "bool", "bpchar", "bytea", "char", "cidr", "date", "datemultirange", "daterange", "float4", "float8",
        "inet", "int2", "int4", "int4multirange", "int4range", "int8", "int8multirange", "int8range", "interval",
        "json",
        "jsonb", "jsonpath", "macaddr", "money", "numeric", "nummultirange", "numrange", "point", "record", "text",
        "time", "timestamp", "timestamptz", "timetz", "tsmultirange", "tsrange", "tstzmultirange", "tstzrange", "uuid",
        "varbit", "varchar",
    ]

    static let functions: Set<String> = aggregates.union(windows).union(numbers).union(strings).union(times)
        .union(documents).union(sets)

    /// Functions that only measure a geometric value, and whose names columns often have: `t.width` may be called.
    static let fields: Set<String> = [
        "area", "center", "diagonal", "diameter", "height", "radius", "slope", "width",
    ]

    private static let aggregates: Set<String> = [
        "any_value", "array_agg", "avg", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "corr", "count",
        "covar_pop", "covar_samp", "every", "json_agg", "json_object_agg", "jsonb_agg", "jsonb_object_agg", "max",
        "min",
        "mode", "percentile_cont", "percentile_disc", "range_agg", "range_intersect_agg", "regr_avgx", "regr_avgy",
        "regr_count", "regr_intercept", "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "stddev",
        "stddev_pop", "stddev_samp", "string_agg", "sum", "var_pop", "var_samp", "variance",
    ]

    private static let windows: Set<String> = [
        "cume_dist", "dense_rank", "first_value", "lag", "last_value", "lead", "nth_value", "ntile", "percent_rank",
        "rank", "row_number",
    ]

    private static let numbers: Set<String> = [
        "abs", "acos", "acosd", "acosh", "asin", "asind", "asinh", "atan", "atan2", "atan2d", "atand", "atanh", "cbrt",
        "ceil", "ceiling", "cos", "cosd", "cosh", "cot", "cotd", "degrees", "div", "exp", "factorial", "floor", "gcd",
        "lcm", "ln", "log", "log10", "min_scale", "mod", "pi", "pow", "power", "radians", "random", "round", "scale",
        "sign", "sin", "sind", "sinh", "sqrt", "tan", "tand", "tanh", "trim_scale", "trunc", "width_bucket",
    ]

    private static let strings: Set<String> = [
        "ascii", "bit_count", "bit_length", "btrim", "char_length", "character_length", "chr", "concat", "concat_ws",
        "convert_from", "convert_to", "decode", "encode", "format", "get_bit", "get_byte", "initcap", "left", "length",
        "like_escape", "lower", "lpad", "ltrim", "md5", "normalize", "is_normalized", "octet_length", "overlay",
        "position", "quote_ident", "quote_literal", "quote_nullable", "regexp_count", "regexp_instr", "regexp_like",
        "regexp_match", "regexp_matches", "regexp_replace", "regexp_split_to_array", "regexp_split_to_table",
        "regexp_substr", "repeat", "replace", "reverse", "right", "rpad", "rtrim", "set_bit", "set_byte", "sha224",
        "sha256", "sha384", "sha512", "split_part", "starts_with", "string_to_array", "string_to_table", "strpos",
        "substr", "substring", "to_hex", "translate", "trim", "unistr", "upper", "similar_to_escape", "similar_escape",
        "host", "family", "masklen", "network", "netmask", "broadcast", "hostmask", "set_masklen", "abbrev",
        "gen_random_uuid",
    ]

    private static let times: Set<String> = [
        "age", "clock_timestamp", "date", "date_bin", "date_part", "date_trunc", "extract", "isfinite", "justify_days",
        "justify_hours", "justify_interval", "make_date", "make_interval", "make_time", "make_timestamp",
        "make_timestamptz", "now", "overlaps", "statement_timestamp", "timezone", "to_char", "to_date", "to_number",
        "to_timestamp", "transaction_timestamp",
    ]

    private static let documents: Set<String> = [
        "json_array_elements", "json_array_elements_text", "json_array_length", "json_build_array",
        "json_build_object", "json_each", "json_each_text", "json_extract_path", "json_extract_path_text",
        "json_object", "json_object_keys", "json_strip_nulls", "json_to_record", "json_to_recordset", "json_typeof",
        "jsonb_array_elements", "jsonb_array_elements_text", "jsonb_array_length", "jsonb_build_array",
        "jsonb_build_object", "jsonb_each", "jsonb_each_text", "jsonb_extract_path", "jsonb_extract_path_text",
        "jsonb_insert", "jsonb_object", "jsonb_object_keys", "jsonb_path_exists", "jsonb_path_exists_tz",
        "jsonb_path_match", "jsonb_path_match_tz", "jsonb_path_query", "jsonb_path_query_array",
        "jsonb_path_query_array_tz", "jsonb_path_query_first", "jsonb_path_query_first_tz", "jsonb_path_query_tz",
        "jsonb_pretty", "jsonb_set", "jsonb_set_lax", "jsonb_strip_nulls", "jsonb_to_record", "jsonb_to_recordset",
        "jsonb_typeof", "row_to_json", "to_json", "to_jsonb", "array_to_json",
    ]

    private static let sets: Set<String> = [
        "array_append", "array_cat", "array_dims", "array_fill", "array_length", "array_lower", "array_ndims",
        "array_position", "array_positions", "array_prepend", "array_remove", "array_replace", "array_to_string",
        "array_upper", "cardinality", "generate_series", "generate_subscripts", "isempty", "lower_inc", "lower_inf",
        "multirange", "num_nonnulls", "num_nulls", "int4range", "int8range", "numrange", "daterange", "tsrange",
        "tstzrange", "range_merge", "trim_array", "unnest", "upper_inc", "upper_inf",
        "system", "bernoulli",
    ]
}
