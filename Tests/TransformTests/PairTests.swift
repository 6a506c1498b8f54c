import JSON
import Records
import TestSupport
import Testing

@testable import Transform

/// `logfmt`, `url` and `query_string`; the latter two beside Python's `urllib.parse`.
@Suite struct PairTests {
    private func logfmt(_ lines: [String]) throws -> (rows: [String], faults: [String]) {
        let output = try Pipelines.run(steps: #"{"parse": {"format": "logfmt"}}"#, lines: lines)
        return (Pipelines.rows(output.batch), output.faults.map { "\($0.row): \($0.message)" })
    }

    @Test func logfmtPairs() throws {
        let (rows, faults) = try logfmt([
            #"level=info msg="a \"b\" \\ \u00e9\ud83d\ude00\n" took=12 url=/a?b=c"#, #" level=  msg="" flag  took=1.5"#,
            #"level=x level=y"#, "", "msg=ümlaut flag",
        ])
        #expect(faults.isEmpty)
        #expect(
            rows == [
                "level=info msg=a \"b\" \\ é😀\n took=12 url=/a?b=c flag=NULL",
                "level=NULL msg= took=1.5 url=NULL flag=true", "level=y msg=NULL took=NULL url=NULL flag=NULL",
                "level=NULL msg=NULL took=NULL url=NULL flag=NULL",
                "level=NULL msg=ümlaut took=NULL url=NULL flag=true",
            ])
    }

    @Test func logfmtFieldsHaveTheTypesTheirContextGives() throws {
        let output = try Pipelines.run(
            steps: #"{"parse": {"format": "logfmt"}}, {"filter": "took > 3"}, {"derive": {"t": "took + 1"}}"#,
            lines: ["took=12", "took=1", "took=x", "other=1"])
        #expect(Pipelines.rows(output.batch) == ["took=12 other=NULL t=13"])
        #expect(output.filtered == [1, 3] && output.faults.map(\.row) == [2])
        guard let column = output.batch["took"] else { return #expect(Bool(false)) }
        #expect(ColumnInference.infer(column) == .int8)
    }

    @Test(arguments: [
        (#"a=1 =2"#, "expected a name at byte 5"), (#"a"b=1"#, "a quote inside a name at byte 2"),
        (#"a=b"c"#, "a quote inside a bare value at byte 4"), (#"a="b"#, "a quote that is never closed at byte 3"),
        (#"a="b"c=1"#, "expected a space after the quote at byte 6"), (#"a="\x""#, "no such escape at byte 4"),
        (#"a="\u12""#, "no such escape at byte 4"),
        (#"a="\u0000""#, "the character U+0000, which cannot be stored, at byte 4"),
        (#"a="\ud800""#, "half of a surrogate pair at byte 4"), (#"a="\udc00""#, "half of a surrogate pair at byte 4"),
        (#"a="\ud800\u0041""#, "half of a surrogate pair at byte 4"), (#"a="\"#, "no such escape at byte 4"),
    ])
    func malformedLogfmt(_ line: String, _ wanted: String) throws {
        let (rows, faults) = try logfmt(["a=0", line, "a=2"])
        #expect(rows == ["a=0", "a=2"])
        #expect(faults == ["1: not logfmt: " + wanted])
    }

    /// What is written as JSON strings comes back the same, whatever it holds.
    @Test func quotedValuesComeBack() throws {
        var generator = SplitMix(seed: 7)
        let pieces = ["a", " ", "=", "\"", "\\", "\n", "\t", "\u{1}", "é", "😀", "{", ",", ":", "\u{7F}", "\\u0041"]
        let values = (0..<500).map { _ in
            (0..<Int.random(in: 0..<12, using: &generator)).map { _ in generator.pick(pieces) }
                .joined()
        }
        let lines = values.enumerated().map { place, value in
            "n=\(place) v=\(String(decoding: JSONValue.string(value).serialized(), as: UTF8.self))"
        }
        let output = try Pipelines.run(steps: #"{"parse": {"format": "logfmt"}}"#, lines: lines)
        #expect(output.faults.isEmpty)
        #expect(Pipelines.rows(output.batch) == values.enumerated().map { "n=\($0) v=\($1)" })
    }

    @Test func namesThatNoColumnMayHaveAreKeptApart() throws {
        let output = try Pipelines.run(
            steps: #"{"parse": {"format": "logfmt", "from": "m"}}"#,
            [#"{"_x": 1, "m": "_batch=5 a=1"}"#, #"{"m": "a=2"}"#])
        #expect(Pipelines.rows(output.batch) == ["a=1", "a=2"])
        guard let extra = output.batch.extra, case .bytes(let texts) = extra.storage else {
            return #expect(Bool(false))
        }
        #expect(texts.string(0) == #"{"_x":1,"_batch":"5"}"# && !extra.isPresent(1))
    }

    // MARK: URLs

    @Test(arguments: [
        ("/a%2Fb?x=%20#%41", "path=/a/b query=x=%20 fragment=A"), ("", "path="), ("?", "path= query="),
        ("mailto:ada@example.org", "scheme=mailto path=ada@example.org"), ("//h", "host=h path="),
        ("HTTP://H%C3%A4.Org:/%ff%zz%", "scheme=http host=hä.org path=/%ff%zz%"),
        ("file:///etc/x", "scheme=file path=/etc/x"), ("1a:b", "path=1a:b"),
        ("http://u:p%40@[2001:DB8::1]:443/", "scheme=http userinfo=u:p@ host=2001:db8::1 port=443 path=/"),
        ("/%00", "path=/%00"),
    ])
    func urls(_ url: String, _ wanted: String) throws {
        let (rows, failed) = read([url])
        let row = rows[0].split(separator: " ").filter { !$0.hasSuffix("=NULL") }.joined(separator: " ")
        #expect(failed.isEmpty && row == wanted)
    }

    @Test(arguments: [
        ("http://a b", "a space or a control character at byte 9"), ("http://h:x/", "expected a port at byte 10"),
        ("http://h:65536", "no such port at byte 10"), ("http://[::1", "expected an address in brackets at byte 8"),
        ("http://[]", "expected an address in brackets at byte 8"), ("http://[::1]x", "expected a port at byte 13"),
        ("http://a:b:c", "expected a port at byte 10"),
        ("http://h:9999999999999999999", "a number too large at byte 28"),
    ])
    func malformedURLs(_ url: String, _ wanted: String) throws {
        #expect(read(["/", url, "/"]).failed == ["1: not a URL: " + wanted])
    }

    private func read(_ urls: [String]) -> (rows: [String], failed: [String]) {
        var reader = URLReader(rows: urls.count)
        reader.read(ByteColumn(urls), validity: urls.map { _ in 1 })
        let batch = RecordBatch(rows: urls.indices.map { Int32($0) }, columns: reader.columns)
        return (Pipelines.rows(batch), reader.failed.map { "\($0.row): \($0.message)" })
    }

    /// Generated URLs and query strings, each part as Python's `urllib.parse` has it.
    @Test func agreesWithPython() async throws {
        var generator = SplitMix(seed: TestSeed.next())
        let seed = generator.state
        let pieces = [
            "a", "B", "%20", "%2F", "%c3%a4", "%ff", "%", "%4", "%zz", "+", "&", "=", ";", "ä", "%00", ":", "@", "/",
            "x=1",
            "?", ".", "%0A", "\"", "\\",
        ]
        func text(_ count: Int, without left: String = "") -> String {
            let pieces = pieces.filter { piece in !left.contains { piece.contains($0) } }
            return (0..<Int.random(in: 0...count, using: &generator))
                .map { _ in generator.pick(pieces) }.joined()
        }
        let urls = (0..<3_000).map { _ in
            var url = generator.pick(["", "http:", "HTTPS:", "a+b.c-1:", "1x:", "é:"])
            if Bool.random(using: &generator) {
                url += "//" + generator.pick(["", "u@", "u:p@", "a%40b@"])
                url += generator.pick(["h", "Ex.Org", "[::1]", "[2001:DB8::A]", "", "h%41"])
                url += generator.pick(["", ":", ":80", ":0443", ":65536", ":x", ":1:2"])
                url += Bool.random(using: &generator) ? "/" + text(6, without: "?") : ""
            } else {
                url += text(6, without: "?:@")
            }
            if Bool.random(using: &generator) { url += "?" + text(8) }
            if Bool.random(using: &generator) { url += "#" + text(3) }
            return url
        }
        let given = JSONValue.array(urls.map { .string($0) }).serialized()
        let answer = try await PythonOracle.run(Self.oracle, on: given)
        let expected = try JSONValue.parse(Array(answer.utf8)).array ?? []
        try #require(expected.count == urls.count)
        var reader = URLReader(rows: urls.count)
        reader.read(ByteColumn(urls), validity: urls.map { _ in 1 })
        let failed = Set(reader.failed.map(\.row))
        let batch = RecordBatch(rows: urls.indices.map { Int32($0) }, columns: reader.columns)
        let queries = try Pipelines.run(steps: #"{"parse": {"format": "query_string"}}"#, lines: urls)
        #expect(queries.batch.rowCount == urls.count)
        for (row, url) in urls.enumerated() {
            var json: [UInt8] = []
            batch.appendJSON(row, into: &json)
            let parts = failed.contains(row) ? JSONValue.null : try JSONValue.parse(json)
            #expect(parts == expected[row]["url"], "\(url), seed \(seed)")
            #expect(Self.fields(queries.batch, row) == expected[row]["query"], "\(url), seed \(seed)")
        }
    }

    /// The fields that a row has, those without a column included.
    private static func fields(_ batch: RecordBatch, _ row: Int) -> JSONValue {
        var fields: [String: JSONValue] = [:]
        for named in batch.columns where named.column.isPresent(row) {
            var text: [UInt8] = []
            TextOutput.append(named.column, row, into: &text)
            fields[named.name] = .string(String(decoding: text, as: UTF8.self))
        }
        if let extra = batch.extra, extra.isPresent(row), case .bytes(let texts) = extra.storage {
            let object = (try? JSONValue.parse(Array(texts[row])))?.object ?? JSONObject()
            for name in object.keys { fields[name] = object[name] }
        }
        return .object(JSONObject(fields.sorted { Array($0.key.utf8).lexicographicallyPrecedes(Array($1.key.utf8)) }))
    }

    private static let oracle = #"""
        import json, sys
        from urllib.parse import unquote_to_bytes, urlsplit

        def decoded(text, plus=False):
            if text is None:
                return None
            try:
                result = unquote_to_bytes((text.replace("+", " ") if plus else text).encode()).decode()
            except UnicodeDecodeError:
                return text
            return text if "\0" in result else result

        def url(text):
            try:
                parts = urlsplit(text)
                port, host = parts.port, parts.hostname
            except ValueError:
                return None
            user, at, _ = parts.netloc.rpartition("@")
            head = text.split("#")[0]
            lower = lambda t: "".join(c.lower() if c.isascii() else c for c in t)
            return {"scheme": parts.scheme or None, "userinfo": decoded(user) if at else None,
                    "host": lower(decoded(host)) if host else None, "port": port, "path": decoded(parts.path),
                    "query": parts.query if "?" in head else None,
                    "fragment": decoded(parts.fragment) if "#" in text else None}

        def query(text):
            fields = {}
            for pair in text.removeprefix("?").split("&"):
                if pair:
                    name, _, value = pair.partition("=")
                    fields[decoded(name, True)] = decoded(value, True)
            return dict(sorted(fields.items(), key=lambda f: f[0].encode()))

        given = json.load(open(sys.argv[1], encoding="utf-8"))
        print(json.dumps([{"url": url(text), "query": query(text)} for text in given]))
        """#
}
