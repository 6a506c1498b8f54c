import Testing

@testable import Observability

@Suite struct LoggerTests {
    @Test func aLineIsOneObjectWithContextAndFields() {
        let sink = LogSink.memory()
        let logger = Logger(service: "in\"gest", level: .info, sink: sink, clock: { 1_709_210_096_000_007 })
        logger.with(["source.name": "web"]).info(
            "batch \"done\"", ["batch.id": 7, "ok": true, "rate": 1.5, "key": .redacted, "text": "a\nb\\\u{1}é"])
        #expect(
            sink.takeText() == #"{"ts":"2024-02-29T12:34:56.000007Z","level":"info","service":"in\"gest","#
                + #""message":"batch \"done\"","source.name":"web","batch.id":7,"ok":true,"rate":1.5,"#
                + #""key":"<redacted>","text":"a\nb\\\u0001é"}"# + "\n")
    }
}
