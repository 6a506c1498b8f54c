import Glibc
import Synchronization
import Testing

@testable import Observability

/// The two ends of a pipe, the reading one drained by a thread of its own: a sink's `flush` blocks its caller,
/// which in a test is a thread that a reading task might have needed.
private final class Pipe: Sendable {
    let reading: CInt
    let writing: CInt
    private let received = Mutex<[UInt8]>([])
    private let ended = ThreadSemaphore()

    init() {
        var ends: [CInt] = [0, 0]
        _ = unsafe pipe(&ends)
        reading = ends[0]
        writing = ends[1]
    }

    func startReading() {
        let started = LogThread.start { [self] in
            var piece = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = unsafe read(reading, &piece, piece.count)
                guard count > 0 else { break }
                received.withLock { $0.append(contentsOf: piece[..<count]) }
            }
            close(reading)
            ended.signal()
        }
        #expect(started)
    }

    /// Closes the writing end and gives the lines read.
    func finish() -> [String] {
        close(writing)
        ended.wait()
        return String(decoding: received.withLock { $0 }, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}

@Suite struct LogSinkTests {
    @Test func linesOfManyTasksArriveWholeAndInEachTasksOrder() async {
        let pipe = Pipe()
        pipe.startReading()
        let sink = LogSink(descriptor: pipe.writing, capacity: 8 << 20)
        let logger = Logger(service: "t", level: .info, sink: sink)
        await withTaskGroup { group in
            for task in 0..<4 {
                group.addTask {
                    for number in 0..<500 { logger.info("m", ["task": .int(task), "n": .int(number)]) }
                }
            }
        }
        sink.flush(within: .seconds(20))
        sink.close()
        let lines = pipe.finish()
        #expect(lines.count == 2000)
        for task in 0..<4 {
            let ends = lines.filter { $0.contains("\"task\":\(task),") }.map { $0.split(separator: "\"n\":")[1] }
            #expect(ends == (0..<500).map { "\($0)}" })
        }
        #expect(sink.droppedLines == 0)
    }

    @Test func aStuckReaderStallsNobodyAndTheLossIsReported() {
        let pipe = Pipe()
        let sink = LogSink(descriptor: pipe.writing, capacity: 16 << 10)
        let logger = Logger(service: "t", level: .info, sink: sink)
        let started = ContinuousClock.now
        // A pipe holds 64 KiB, the buffer 16 KiB: most of these 2 MB have nowhere to go.
        for number in 0..<20_000 { logger.info("a line that nobody reads", ["n": .int(number)]) }
        #expect(ContinuousClock.now - started < .seconds(10))
        #expect(sink.droppedLines > 15_000)
        pipe.startReading()
        sink.flush(within: .seconds(20))
        logger.info("after")
        sink.flush(within: .seconds(20))
        sink.close()
        let lines = pipe.finish()
        let reports = lines.filter { $0.contains("\"message\":\"log lines dropped\"") }
        #expect(!reports.isEmpty)
        #expect(lines.count - reports.count == 20_000 - sink.droppedLines + 1)
        #expect(lines.last?.contains("\"message\":\"after\"") == true)
    }

    @Test func aBrokenDescriptorLosesLinesButEndsNothing() {
        let pipe = Pipe()
        close(pipe.reading)
        let sink = LogSink(descriptor: pipe.writing)
        // The write fails with EPIPE; were SIGPIPE not blocked, the test process would end here.
        Logger(service: "t", level: .info, sink: sink).info("nobody reads")
        sink.flush(within: .seconds(20))
        sink.close()
        close(pipe.writing)
    }
}
