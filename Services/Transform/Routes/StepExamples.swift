import JSON

/// Every step and format by example: what is said of it in `/openapi.json`, and shown to be so by tests.
struct StepExample: Sendable {
    /// What it does, in sentences.
    let text: String
    /// A step that comes before it.
    var before: JSONValue?
    let step: JSONValue
    let records: [JSONValue]
    /// The rows that a pipeline of these steps makes of the records.
    let rows: [JSONValue]

    /// The text with the example behind it.
    var description: String {
        func list(_ values: [JSONValue]) -> String {
            values.map { String(decoding: $0.serialized(), as: UTF8.self) }.joined(separator: ", ")
        }
        let steps = (before.map { [$0] } ?? []) + [step]
        let lead = text.hasSuffix(":") ? text : text + " For example,"
        return "\(lead) `\(list(steps))` makes of `\(list(records))` the rows `\(list(rows))`."
    }

    static let all = formats + columns + values + rows

    static func of(_ step: String) -> [StepExample] { all.filter { $0.step.object?.keys.first == step } }
}

// The formats of `parse`.
extension StepExample {
    private static let formats: [StepExample] = [
        StepExample(
            text: """
                `json` reads an object from a text column, which its fields replace (`line`, if `from` is left out, is \
                the whole record of a text source). Of every format: where the text of a row has a field, it replaces \
                what the record had under that name, as NULL too; where the text is NULL or lacks the field, the \
                record's own value stays. A column that has a type keeps it, and what is parsed is cast to it.
                """,
            step: ["parse": ["format": "json", "from": "body"]],
            records: [["id": 1, "body": #"{"x": 5, "y": [true]}"#]],
            rows: [["id": 1, "x": 5, "y": [true]]]),
        StepExample(
            text:
                "`csv` reads fields by RFC 4180 into the columns named. A bare empty field is NULL, `\"\"` empty text.",
            step: ["parse": ["format": "csv", "columns": ["id", "name", "note"]]],
            records: [#"1,"Ada, ""the first""","#], rows: [["id": "1", "name": #"Ada, "the first""#, "note": nil]]),
        StepExample(
            text: """
                `combined` reads access logs of Apache httpd and nginx. `-` is NULL. Escapes (`\\"`, `\\n`, `\\x22`) \
                are decoded; a field in which they are no text stays as it is. The fields before the time hold no \
                spaces: a user's name with one is not told from a line of `vhost_combined`, and neither is read.
                """,
            step: ["parse": ["format": "combined"]],
            records: [
                #"203.0.113.9 - ada [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.0" 200 2326 "-" "curl/8""#
            ],
            rows: [
                [
                    "ip": "203.0.113.9", "ident": nil, "remote_user": "ada", "ts": "2000-10-10T20:55:36Z",
                    "method": "GET", "path": "/a?b=c", "protocol": "HTTP/1.0", "status": 200, "bytes": 2326,
                    "referer": nil, "agent": "curl/8",
                ]
            ]),
        StepExample(
            text: "`common` is `combined` without `referer` and `agent`.", step: ["parse": ["format": "common"]],
            records: [#"::1 - - [29/Feb/2024:00:00:00 +0000] "-" 408 -"#],
            rows: [
                [
                    "ip": "::1", "ident": nil, "remote_user": nil, "ts": "2024-02-29T00:00:00Z", "method": nil,
                    "path": nil, "protocol": nil, "status": 408, "bytes": nil,
                ]
            ]),
        StepExample(
            text: """
                `syslog` reads RFC 5424 with structured data, and RFC 3164 as relays send it. `facility` (0 to 23) and \
                `severity` (0 to 7) are numbers. Times without a year are the last such times no more than a day after \
                the record came, those without a zone are UTC.
                """,
            step: ["parse": ["format": "syslog"]],
            records: [
                #"<165>1 2003-10-11T22:14:15.003Z host evntslog 12 ID47 [ex@32473 iut="3"] An event"#,
                "<34>2003-10-11T22:14:15Z host su[7]: 'su root' failed",
            ],
            rows: [
                [
                    "facility": 20, "severity": 5, "ts": "2003-10-11T22:14:15.003Z", "hostname": "host",
                    "appname": "evntslog", "procid": "12", "msgid": "ID47",
                    "structured_data": ["ex@32473": ["iut": "3"]], "message": "An event",
                ],
                [
                    "facility": 4, "severity": 2, "ts": "2003-10-11T22:14:15Z", "hostname": "host", "appname": "su",
                    "procid": "7", "msgid": nil, "structured_data": nil, "message": "'su root' failed",
                ],
            ]),
        StepExample(
            text: """
                `logfmt` reads pairs of names and values. Quoted values have JSON's escapes; `name=` is NULL, a name \
                alone is true.
                """,
            step: ["parse": ["format": "logfmt"]], records: [#"level=info msg="a \"b\"" took=12 cached user="#],
            rows: [["level": "info", "msg": #"a "b""#, "took": "12", "cached": "true", "user": nil]]),
        StepExample(
            text: """
                `url` reads URLs and relative references by RFC 3986. All but the query is percent-decoded, where that \
                gives text; what does not stays as it is written.
                """,
            step: ["parse": ["format": "url", "from": "link"]],
            records: [["link": "https://ada@Example.org:8443/a%20b?x=1&y=%20#top"]],
            rows: [
                [
                    "scheme": "https", "userinfo": "ada", "host": "example.org", "port": 8443, "path": "/a b",
                    "query": "x=1&y=%20", "fragment": "top",
                ]
            ]),
        StepExample(
            text:
                """
                `query_string` reads names and values, percent-decoded, `+` being a space. Of a repeated name the last \
                counts.
                """,
            step: ["parse": ["format": "query_string", "from": "query"]], records: [["query": "a=1&b=x%20y+z&a=2&c"]],
            rows: [["a": "2", "b": "x y z", "c": ""]]),
        StepExample(
            text: "`regex` makes columns of a pattern's named groups (Perl-compatible, matching cannot run away).",
            step: ["parse": ["format": "regex", "pattern": #"^(?<level>[A-Z]+) (?<took>\d+)ms"#]],
            records: ["INFO 12ms done"],
            rows: [["level": "INFO", "took": "12"]]),
    ]
}

// Steps on columns.
extension StepExample {
    private static let columns: [StepExample] = [
        StepExample(
            text: "Keeps these columns, in this order; one that no record has is NULL.",
            step: ["select": ["id", "total"]], records: [["total": 5, "id": 1, "note": "x"]],
            rows: [["id": 1, "total": 5]]),
        StepExample(
            text: """
                Gives columns other names. Where a record lacks the old name, what it has under the new one stays; a \
                record that has both is quarantined.
                """,
            step: ["rename": ["userId": "user_id"]], records: [["userId": 7], ["user_id": 8]],
            rows: [["user_id": 7], ["user_id": 8]]),
        StepExample(
            text: "Leaves columns out.", step: ["drop": ["password"]], records: [["id": 1, "password": "x"]],
            rows: [["id": 1]]),
        StepExample(
            text: """
                Makes the fields of objects columns, one level deep. What is no object stays where it is, and so do \
                fields under whose new name the record has a value already, or whose name is empty, too long or begins \
                with `_`, or which are not of the type that the column has.
                """,
            step: ["flatten": ["geo"]], records: [["id": 1, "geo": ["lat": 48.1, "lon": 11.5, "_raw": "x"]]],
            rows: [["id": 1, "geo_lat": 48.1, "geo_lon": 11.5, "geo": ["_raw": "x"]]]),
    ]

    private static let values: [StepExample] = [
        StepExample(
            text:
                """
                Brings columns to types, as PostgreSQL casts text. A value that is not of the type quarantines its \
                record.
                """,
            step: ["cast": ["id": "int8", "at": "timestamptz"]], records: [["id": "7", "at": "2026-03-01 10:00+01"]],
            rows: [["id": 7, "at": "2026-03-01T09:00:00Z"]]),
        StepExample(
            text: "Adds columns, or replaces them, by SQL expressions; each sees those before it.",
            step: ["derive": ["net": "round(total::numeric / 1.2, 2)", "is_refund": "net < 0"]],
            records: [["total": "12.54"]],
            rows: [["total": "12.54", "net": 10.45, "is_refund": false]]),
        StepExample(
            text: "Puts a value where a column is NULL.", step: ["fill": ["country": "DE"]],
            records: [["id": 1], ["id": 2, "country": "FR"]],
            rows: [["id": 1, "country": "DE"], ["id": 2, "country": "FR"]]),
        StepExample(
            text: """
                Makes columns unreadable text: `sha256` (HMAC-SHA256 under the workspace's own secret salt, so that \
                equal values stay equal), `redact`, or `keep_last_4` (of four characters and fewer, none). NULL stays \
                NULL.
                """,
            step: ["mask": ["card": "keep_last_4", "name": "redact"]],
            records: [["card": "4111111111111111", "name": "Ada"]],
            rows: [["card": "************1111", "name": "***"]]),
    ]
}

// Steps on rows.
extension StepExample {
    private static let rows: [StepExample] = [
        StepExample(
            text: "Keeps the rows for which a condition is true; the others are counted as filtered.",
            step: ["filter": "status::int8 >= 500"], records: [["status": 200], ["status": 503]],
            rows: [["status": 503]]),
        StepExample(
            text: """
                Quarantines records for which a condition is false; NULL passes. With `max_failed`, a number of rows \
                or a share of them as `"5%"`, a batch of which more rows fail is turned down as a whole: its job is a \
                dead letter, its receipts are `failed`, and nothing of it is stored or quarantined. In a run over a \
                dataset a batch is a slice of the table's blocks.
                """,
            step: ["expect": ["total_is_positive": "total::numeric > 0"], "max_failed": "50%"],
            records: [["total": 5], ["total": -1]], rows: [["total": 5]]),
        StepExample(
            text: """
                Makes a row of each element of an array; the other columns are repeated. Of NULL and an empty array it \
                makes one row with NULL, or with `"empty": "filter"` none. `position` names a column for the element's \
                place, from 1. The rows of a record stand or fall together: when one is turned down, the record is \
                quarantined; it counts as filtered when no row is left.
                """,
            step: ["explode": ["column": "items", "position": "line"]],
            records: [["id": 1, "items": ["a", ["n": 2]]], ["id": 2]],
            rows: [
                ["id": 1, "items": "a", "line": 1], ["id": 1, "items": ["n": 2], "line": 2],
                ["id": 2, "items": nil, "line": nil],
            ]),
        StepExample(
            text: """
                Of the rows of a batch that have the same key keeps the `first` or the `last`; the others are counted \
                as duplicates. Rows with a NULL in the key are kept. Values of a column without a type are compared as \
                they were written (`1` and `1.0` are two: cast first), jsonb by its text, spaces and all. In a run \
                over a dataset a batch is a slice of the table's blocks. Against the rows that a dataset holds already \
                there is a mode: with `"target": {"dataset": "orders", "mode": "ignore"}` the first record of a key of \
                `orders` stays, and those that come later, in whatever batch, are the duplicates.
                """,
            step: ["dedupe": ["by": ["id"], "keep": "last"]],
            records: [["id": 1, "n": 1], ["id": 1, "n": 2], ["n": 3]],
            rows: [["id": 1, "n": 2], ["id": nil, "n": 3]]),
        StepExample(
            text: """
                Finds numbers far from the others of the batch, or of those with equal values in `by`: by `zscore` \
                (more than `threshold`, 3, standard deviations from the mean) or `iqr` (more than `threshold`, 1.5, \
                times the quartiles' distance outside of them); what is found is put into `quarantine`, made `null`, \
                or brought to the bound by `clip`: infinity too, while NaN, which is near neither, stays. In a run \
                over a dataset a batch is a slice of the table's blocks. The column must be known to hold numbers.
                """,
            before: ["cast": ["ms": "int8"]], step: ["outliers": ["column": "ms", "method": "iqr", "action": "clip"]],
            records: [["ms": 1], ["ms": 2], ["ms": 3], ["ms": 4], ["ms": 100]],
            rows: [["ms": 1], ["ms": 2], ["ms": 3], ["ms": 4], ["ms": 7]]),
        StepExample(
            text: """
                Takes the rows for which a condition is true to another dataset; the rest goes on. Each goes to the \
                first such branch. For pipelines that read a source.
                """,
            step: ["route": [["when": "status::int8 >= 500", "dataset": "web_errors"]]],
            records: [["status": 503], ["status": 200]], rows: [["status": 200]]),
        StepExample(
            text: """
                Joins columns of another dataset by a key, `on` a column of the rows and the dataset's one that is \
                equal to it. Where there is no such row they are NULL, or with `"missing": "quarantine"` the record \
                is turned down. If the dataset `countries` has a row for `de`:
                """,
            step: ["lookup": ["dataset": "countries", "on": ["country": "code"], "columns": ["name": "country_name"]]],
            records: [["country": "de"], ["country": "xx"]],
            rows: [["country": "de", "country_name": "Germany"], ["country": "xx", "country_name": nil]]),
    ]
}
