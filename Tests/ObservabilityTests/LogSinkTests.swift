import Glibc
import Testing

@testable import Observability

/// The two ends of a pipe.
private struct Pipe {
    let reading: CInt
    let writing: CInt

    init() {
        var ends: [CInt] = [0, 0]
        _ = unsafe pipe(&ends)
        reading = ends[0]
        writing = ends[1]
    }

    /// Reads until the writing end is closed.
    func readToEnd() -> [UInt8] {
        var all: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe read(reading, &piece, piece.count)
            guard count > 0 else { return all }
            all.append(contentsOf: piece[..<count])
        }
    }
}

@Suite struct LogSinkTests {
    @Test func linesOfManyTasksArriveWholeAndInEachTasksOrder() async {
        let pipe = Pipe()
        let sink = LogSink(descriptor: pipe.writing, capacity: 8 << 20)
        let logger = Logger(service: "t", level: .info, sink: sink)
        await withTaskGroup { group in
            for task in 0..<4 {
                group.addTask {
                    for number in 0..<500 { logger.info("m", ["task": .int(task), "n": .int(number)]) }
                }
            }
            group.addTask {
                // 2,000 lines are more than a pipe holds: the reader must run beside the writer.
                let text = String(decoding: pipe.readToEnd(), as: UTF8.self)
                let lines = text.split(separator: "\n")
                #expect(lines.count == 2000)
                for task in 0..<4 {
                    let own = lines.filter { $0.contains("\"task\":\(task),") }
                    #expect(
                        own.map { String($0) }
                            == own.enumerated().map { index, line in
                                line.hasSuffix("\"n\":\(index)}") ? String(line) : "line \(index) is \(line)"
                            })
                }
            }
            for _ in 0..<4 { await group.next() }
            sink.flush(within: .seconds(20))
            close(pipe.writing)
            await group.waitForAll()
        }
        sink.close()
        #expect(sink.droppedLines == 0)
        close(pipe.reading)
    }

    @Test func aStuckReaderStallsNobodyAndTheLossIsReported() async {
        let pipe = Pipe()
        let sink = LogSink(descriptor: pipe.writing, capacity: 16 << 10)
        let logger = Logger(service: "t", level: .info, sink: sink)
        let started = ContinuousClock.now
        // A pipe holds 64 KiB, the buffer 16 KiB: most of these 2 MB have nowhere to go.
        for number in 0..<20_000 { logger.info("a line that nobody reads", ["n": .int(number)]) }
        #expect(ContinuousClock.now - started < .seconds(10))
        let dropped = sink.droppedLines
        #expect(dropped > 15_000)
        async let text = String(decoding: pipe.readToEnd(), as: UTF8.self)
        sink.flush(within: .seconds(20))
        logger.info("after")
        sink.flush(within: .seconds(20))
        sink.close()
        close(pipe.writing)
        let lines = await text.split(separator: "\n")
        let reports = lines.filter { $0.contains("\"message\":\"log lines dropped\"") }
        #expect(!reports.isEmpty)
        #expect(lines.count - reports.count == 20_000 - sink.droppedLines + 1)
        close(pipe.reading)
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
