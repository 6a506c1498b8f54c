import Glibc

/// What the kernel knows about this process.
enum ProcessReadings {
    /// Processor time of all threads, in seconds.
    static func processorSeconds() -> Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Memory that is resident, in bytes: the second field of `/proc/self/statm`, in pages. NaN when it cannot be read.
    static func residentBytes() -> Double {
        let descriptor = unsafe open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return .nan }
        defer { close(descriptor) }
        var text = [UInt8](repeating: 0, count: 256)
        let count = unsafe read(descriptor, &text, text.count)
        guard count > 0 else { return .nan }
        let fields = text[..<count].split(separator: UInt8(ascii: " "))
        guard fields.count > 1, let pages = Int(String(decoding: fields[1], as: UTF8.self)) else { return .nan }
        return Double(pages) * Double(sysconf(CInt(_SC_PAGESIZE)))
    }
}

extension MetricsRegistry {
    /// Adds what concerns the process as a whole: processor time, memory, its start, and the log lines it lost.
    public func addProcess(logSink: LogSink) {
        let start = Double(WallClock.microsecondsSince1970()) / 1e6
        gauge("process_start_time_seconds", help: "When the process started, in seconds since 1970.") { start }
        gauge(
            "process_resident_memory_bytes", help: "Resident memory.", reading: ProcessReadings.residentBytes)
        counter(
            "process_cpu_seconds_total", help: "Processor time of all threads.",
            reading: ProcessReadings.processorSeconds)
        counter("millrace_log_lines_dropped_total", help: "Log lines lost because nobody read them fast enough.") {
            Double(logSink.droppedLines)
        }
    }
}
