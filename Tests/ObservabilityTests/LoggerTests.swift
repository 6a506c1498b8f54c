import Testing

@testable import Observability

@Suite struct LoggerTests {
    private func logger(_ sink: LogSink, level: LogLevel = .info) -> Logger {
        Logger(service: "in\"gest", level: level, sink: sink, clock: { 1_709_210_096_000_007 })
    }

    @Test func aLineIsOneObjectWithContextAndFields() {
        let sink = LogSink.memory()
        logger(sink).with(["source.name": "web"]).info(
            "batch \"done\"", ["batch.id": 7, "ok": true, "rate": 1.5, "key": .redacted, "text": "a\nb\\\u{1}é"])
        #expect(
            sink.takeText() == #"{"ts":"2024-02-29T12:34:56.000007Z","level":"info","service":"in\"gest","#
                + #""message":"batch \"done\"","source.name":"web","batch.id":7,"ok":true,"rate":1.5,"#
                + #""key":"<redacted>","text":"a\nb\\\u0001é"}"# + "\n")
    }

    @Test func linesBelowTheLevelAreNeitherWrittenNorComputed() {
        let sink = LogSink.memory()
        let logger = logger(sink, level: .warning)
        var computed = 0
        func value() -> LogValue {
            computed += 1
            return "x"
        }
        logger.debug("no", ["a": value()])
        logger.info("no", ["a": value()])
        #expect(computed == 0)
        logger.warning("one", ["a": value()])
        logger.error("two", ["a": value()])
        #expect(computed == 2)
        #expect(sink.takeText().split(separator: "\n").count == 2)
    }

    @Test(arguments: [
        (LogValue.double(.nan), "\"nan\""), (.double(-.infinity), "\"-inf\""), (.double(0.1), "0.1"),
        (.int(Int.min), "-9223372036854775808"), (.duration(.milliseconds(1500)), "1.5"),
        (.string("\u{7F}\u{0}\t\r"), "\"\\u007f\\u0000\\t\\r\""), (.string(""), "\"\""), (.bool(false), "false"),
    ])
    func valuesAreJSON(_ value: LogValue, _ expected: String) {
        let sink = LogSink.memory()
        logger(sink).info("m", ["v": value])
        #expect(sink.takeText().hasSuffix("\"v\":\(expected)}\n"))
    }

    @Test(arguments: [
        (Int64(0), "1970-01-01T00:00:00.000000Z"), (-1, "1969-12-31T23:59:59.999999Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
        (4_102_444_799_999_999, "2099-12-31T23:59:59.999999Z"),
        (-2_203_891_200_000_000, "1900-03-01T00:00:00.000000Z"),
    ])
    func timesAreRFC3339(_ microseconds: Int64, _ expected: String) {
        var line = LogLine(capacity: 0)
        line.append(microsecondsSince1970: microseconds)
        #expect(String(decoding: line.bytes, as: UTF8.self) == expected)
    }

    @Test func aSilentLoggerWritesNothing() {
        Logger.silent.error("x")
        #expect(LogSink.discarding.takeText().isEmpty)
    }
}
