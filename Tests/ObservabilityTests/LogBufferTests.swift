import Buffers
import Testing

@testable import Observability

@Suite struct LogBufferTests {
    private let line = [UInt8](repeating: 65, count: 10)

    @Test func theWriterIsStartedOnceAndWokenOnlyWhenItWaits() {
        var buffer = LogBuffer(capacity: 100)
        var taken: [UInt8] = []
        #expect(buffer.append(line) == .startWriter)
        #expect(buffer.append(line) == .nothing)
        #expect(buffer.take(into: &taken) == .lines(droppedBefore: 0))
        #expect(taken.count == 20)
        taken.removeAll()
        #expect(!buffer.isDrained)
        #expect(buffer.take(into: &taken) == .wait)
        #expect(buffer.isDrained)
        #expect(buffer.append(line) == .wakeWriter)
        #expect(buffer.append(line) == .nothing)
    }

    @Test func aFullBufferDropsWholeLinesAndCountsThem() {
        var buffer = LogBuffer(capacity: 25)
        var taken: [UInt8] = []
        for _ in 0..<5 { _ = buffer.append(line) }
        #expect(buffer.dropped == 3)
        #expect(buffer.take(into: &taken) == .lines(droppedBefore: 3))
        #expect(taken.count == 20)
        taken.removeAll()
        _ = buffer.append(line)
        #expect(buffer.take(into: &taken) == .lines(droppedBefore: 0))
        #expect(buffer.dropped == 3)
    }

    @Test func importantLinesHaveRoomThatOthersDoNotFill() {
        var buffer = LogBuffer(capacity: 40)
        for _ in 0..<9 { _ = buffer.append(line) }
        #expect(buffer.dropped == 5)
        _ = buffer.append(line, important: true)
        #expect(buffer.pending.count == 50 && buffer.dropped == 5)
        _ = buffer.append(line, important: true)
        _ = buffer.append(line)
        #expect(buffer.pending.count == 50 && buffer.dropped == 7, "there is a bound for these, too")
    }

    @Test func aLoggersLinesAreImportantInWhateverContext() {
        let sink = LogSink.memory(capacity: 1000)
        let logger = Logger(service: "s", level: .info, sink: sink)
        while sink.droppedLines == 0 { logger.info("ordinary") }
        logger.important.with(["k": 1]).info("kept")
        logger.info("ordinary")
        #expect(sink.droppedLines == 2)
        #expect(sink.takeText().hasSuffix("\"kept\",\"k\":1}\n"))
    }

    @Test func closingWakesTheWriterAndLetsItWriteTheRest() {
        var buffer = LogBuffer(capacity: 100)
        var taken: [UInt8] = []
        _ = buffer.append(line)
        #expect(buffer.close() == .nothing)
        #expect(buffer.append(line) == .nothing)
        #expect(buffer.take(into: &taken) == .lines(droppedBefore: 0))
        taken.removeAll()
        #expect(buffer.take(into: &taken) == .stop)

        var waiting = LogBuffer(capacity: 100)
        _ = waiting.append(line)
        _ = waiting.take(into: &taken)
        taken.removeAll()
        _ = waiting.take(into: &taken)
        #expect(waiting.close() == .wakeWriter)
    }

    @Test func aThreadThatCannotStartIsAskedForAgain() {
        var buffer = LogBuffer(capacity: 100)
        #expect(buffer.append(line) == .startWriter)
        buffer.writerFailedToStart()
        #expect(buffer.append(line) == .startWriter)
    }
}

extension LogBuffer {
    fileprivate mutating func append(_ line: [UInt8], important: Bool = false) -> Action {
        var octets = OctetBuffer(capacity: line.count)
        octets.append(line)
        return append(octets, lines: 1, important: important)
    }
}
