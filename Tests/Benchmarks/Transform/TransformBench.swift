import CAllocationCount
import CBareParse
import Foundation
import JSON
import Records
import Transform

/// Runs a pipeline over a file on one core and says in seconds of processor time, so that what else the machine does
/// counts for little, what reading the records and the steps take; one JSON line.
///
/// Arguments: the file, its format (`ndjson`, `text`), a pipeline's definition, rounds (3); the best round counts.
@main struct TransformBench {
    /// As ingest cuts batches.
    static let frameBytes = 8 << 20

    static func main() throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        guard arguments.count >= 3, let format = RecordFormat(arguments[1]) else {
            fatalError("transform-bench FILE ndjson|text PIPELINE [ROUNDS]")
        }
        let body = Array(try Data(contentsOf: URL(fileURLWithPath: arguments[0])))
        let definition = try JSONValue.parse(Array(arguments[2].utf8))
        let pipeline = try PipelineCompiler(salt: Array("bench".utf8)).compile(definition).pipeline
        let frames = try frames(of: body, format)
        var best = try run(frames, pipeline)
        for _ in 1..<max(1, arguments.dropFirst(3).first.flatMap { Int($0) } ?? 3) {
            let round = try run(frames, pipeline)
            if round.seconds < best.seconds { best = round }
        }
        var report: [(String, JSONValue)] = [
            ("records", .number(best.records)), ("rows", .number(best.rows)), ("filtered", .number(best.filtered)),
            ("rejected", .number(best.rejected)), ("megabytes", .number(Double(body.count) / 1e6)),
            ("read_s", .number(best.read)), ("steps_s", .number(best.steps)),
            ("allocations", .number(Double(best.allocations) / Double(best.records))),
        ]
        if format == .ndjson { report.append(("bare_parse_s", .number(bareParse(body, records: best.records)))) }
        FileHandle.standardOutput.write(Data(JSONValue.object(JSONObject(report)).serialized() + [0x0A]))
    }

    struct Round {
        var records = 0
        var rows = 0
        var filtered = 0
        var rejected = 0
        var read = 0.0
        var steps = 0.0
        var allocations = 0

        var seconds: Double { read + steps }
    }

    static func frames(of body: [UInt8], _ format: RecordFormat) throws -> [BatchFrame] {
        var frames: [BatchFrame] = []
        var splitter = RecordSplitter(format: format)
        for start in stride(from: 0, to: body.count, by: 64 << 10) {
            try splitter.append(Array(body[start..<min(body.count, start + 64 << 10)]))
            if splitter.pendingBytes >= frameBytes, let frame = splitter.takeFrame() { frames.append(frame) }
        }
        try splitter.finish()
        if let frame = splitter.takeFrame() { frames.append(frame) }
        return frames
    }

    static func run(_ frames: [BatchFrame], _ pipeline: CompiledPipeline) throws -> Round {
        var round = Round()
        let decoder = RecordDecoder()
        let before = mr_allocation_count()
        for frame in frames {
            let start = cpuTime()
            let decoded = try decoder.decode(frame)
            let middle = cpuTime()
            let output = try pipeline.run(decoded.batch, faults: decoded.faults)
            round.steps += cpuTime() - middle
            round.read += middle - start
            round.records += frame.lengths.count
            round.rows += output.batch.rowCount
            round.filtered += output.filtered.count
            round.rejected += Set(output.faults.map(\.row)).count
        }
        round.allocations = mr_allocation_count() - before
        return round
    }

    static func bareParse(_ body: [UInt8], records: Int) -> Double {
        let padded = body + [UInt8](repeating: 0, count: 64)
        let start = cpuTime()
        let parsed = unsafe padded.withUnsafeBufferPointer { unsafe bare_parse($0.baseAddress, body.count) }
        guard parsed == records else { fatalError("simdjson parsed \(parsed) of \(records) lines") }
        return cpuTime() - start
    }

    static func cpuTime() -> Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

extension RecordFormat {
    fileprivate init?(_ name: String) {
        switch name {
        case "ndjson": self = .ndjson
        case "text": self = .text
        default: return nil
        }
    }
}
