import Glibc

/// What the kernel knows about this process.
enum ProcessReadings {
    /// Processor time of all threads, in seconds.
    static func processorSeconds() -> Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Memory in bytes, as `/proc/self/statm` has it in pages: the whole address space and what of it is resident. NaN
    /// when it cannot be read.
    static func memory() -> (virtual: Double, resident: Double) {
        let descriptor = unsafe open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return (.nan, .nan) }
        defer { close(descriptor) }
        var text = [UInt8](repeating: 0, count: 256)
        let count = unsafe read(descriptor, &text, text.count)
        guard count > 0 else { return (.nan, .nan) }
        let pages = text[..<count].split(separator: UInt8(ascii: " ")).prefix(2).compactMap {
            Double(String(decoding: $0, as: UTF8.self))
        }
        guard pages.count == 2 else { return (.nan, .nan) }
        let size = Double(sysconf(CInt(_SC_PAGESIZE)))
        return (pages[0] * size, pages[1] * size)
    }

    /// Descriptors that are open, without the one that it takes to count them. NaN when they cannot be counted.
    static func openDescriptors() -> Double {
        guard let folder = unsafe opendir("/proc/self/fd") else { return .nan }
        defer { unsafe closedir(folder) }
        var entries = 0
        while unsafe readdir(folder) != nil { entries += 1 }
        return Double(entries - 3)
    }

    /// As many descriptors may be open.
    static func maximumDescriptors() -> Double {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return .nan }
        return limit.rlim_cur == .max ? .infinity : Double(limit.rlim_cur)
    }
}

extension MetricsRegistry {
    /// Adds what concerns the process as a whole: processor time, memory, descriptors, its start, what was built, and
    /// the log lines it lost.
    public func addProcess(service: String, version: String, logSink: LogSink) {
        let start = Double(WallClock.microsecondsSince1970()) / 1e6
        gauge("process_start_time_seconds", help: "When the process started, in seconds since 1970.") { start }
        gauge("process_resident_memory_bytes", help: "Resident memory.") { ProcessReadings.memory().resident }
        gauge("process_virtual_memory_bytes", help: "The address space.") { ProcessReadings.memory().virtual }
        gauge("process_open_fds", help: "Open descriptors.", reading: ProcessReadings.openDescriptors)
        gauge("process_max_fds", help: "Descriptors that may be open.", reading: ProcessReadings.maximumDescriptors)
        counter(
            "process_cpu_seconds_total", help: "Processor time of all threads.",
            reading: ProcessReadings.processorSeconds)
        gauge(
            "millrace_build_info", help: "1, labelled by what runs.",
            labels: [("service", service), ("version", version)]
        ) { 1 }
        counter("millrace_log_lines_dropped_total", help: "Log lines lost because nobody read them fast enough.") {
            Double(logSink.droppedLines)
        }
    }
}
