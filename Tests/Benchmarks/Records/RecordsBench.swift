import CAllocationCount
import Foundation
import Records

/// Measures the way from a body to binary COPY on one core, in seconds of processor time, so that what else the machine
/// does counts for little; prints one JSON line a figure.
///
/// Arguments: records (default 1,000,000) and rounds (default 3); the best round counts.
@main struct RecordsBench {
    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst().compactMap { Int($0) }
        let count = arguments.first ?? 1_000_000
        let rounds = arguments.dropFirst().first ?? 3
        for format in [RecordFormat.ndjson, .json, .csv] {
            let body = Bodies.make(format, records: count)
            var best: [String: Double] = [:]
            var allocations: [String: Int] = [:]
            for _ in 0..<rounds {
                for (stage, figure) in try run(body, format, count) {
                    best[stage] = min(best[stage] ?? .infinity, figure.seconds)
                    allocations[stage] = figure.allocations
                }
            }
            for (stage, seconds) in best.sorted(by: { $0.key < $1.key }) {
                report("records_\(format)_\(stage)", seconds, body.count, count, allocations[stage])
            }
        }
    }

    struct Figure {
        var seconds: Double
        var allocations: Int
    }

    static func run(_ body: [UInt8], _ format: RecordFormat, _ count: Int) throws -> [(String, Figure)] {
        var figures: [(String, Figure)] = []
        func timed<T>(_ stage: String, _ work: () throws -> T) rethrows -> T {
            let before = mr_allocation_count()
            let start = cpuTime()
            let result = try work()
            let elapsed = cpuTime() - start
            figures.append((stage, Figure(seconds: elapsed, allocations: mr_allocation_count() - before)))
            return result
        }
        let chunks = stride(from: 0, to: body.count, by: 64 << 10).map {
            Array(body[$0..<min(body.count, $0 + 64 << 10)])
        }
        var frames: [BatchFrame] = []
        try timed("1_split") {
            var splitter = RecordSplitter(format: format)
            for chunk in chunks {
                try splitter.append(chunk)
                if splitter.pendingBytes >= 8 << 20, let frame = splitter.takeFrame() { frames.append(frame) }
            }
            try splitter.finish()
            if let frame = splitter.takeFrame() { frames.append(frame) }
        }
        let stored = try timed("2_compress") { try frames.map { try $0.encode() } }
        let loaded = try timed("3_expand") { try stored.map { try BatchFrame(decoding: $0, limit: 1 << 30) } }
        let decoder = RecordDecoder()
        var batches = try timed("4_shred") { try loaded.map { try decoder.decode($0).batch } }
        timed("5_infer") {
            for batch in batches { for named in batch.columns { _ = ColumnInference.infer(named.column) } }
        }
        timed("6_cast") {
            for index in batches.indices {
                let rows = batches[index].rows
                for (place, named) in batches[index].columns.enumerated() {
                    let type = Bodies.types[named.name] ?? .text
                    batches[index].columns[place].column =
                        named.column.cast(to: type, rows: rows, name: named.name).column
                }
            }
        }
        var encoded = 0
        try timed("7_encode") {
            for batch in batches { encoded += try CopyBinaryEncoder(batch: 1, output: 1).encode(batch).count }
        }
        guard batches.reduce(0, { $0 + $1.rowCount }) == count, encoded > count * 30 else {
            fatalError("rows are missing")
        }
        let path = figures.filter { ["4_shred", "6_cast", "7_encode"].contains($0.0) }.map(\.1)
        figures.append(
            (
                "8_shred_cast_encode",
                Figure(
                    seconds: path.reduce(0) { $0 + $1.seconds }, allocations: path.reduce(0) { $0 + $1.allocations })
            ))
        return figures
    }

    static func cpuTime() -> Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    static func report(_ name: String, _ seconds: Double, _ bytes: Int, _ records: Int, _ allocations: Int?) {
        let megabytes = Double(bytes) / seconds / 1_000_000
        let rate = Double(records) / seconds
        let each = Double(allocations ?? 0) / Double(records)
        let line = String(
            format: #"{"bench": "%@", "mb_per_s": %.0f, "records_per_s": %.0f, "allocations_per_record": %.5f}"#, name,
            megabytes, rate, each)
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }
}
