/// `to_char`, `to_date` and `to_timestamp` with a format, which is nearly always a literal and then read once.
enum DateFormatFunctions {
    static let all: [String: [Signature]] = [
        "to_char": [SQLType.timestamptz, .timestamp].map { type in
            Signature(type, .text, result: .text, write(isZoned: type == .timestamptz))
                .checking(1) { (format) throws(Fault) in _ = try DateFormat(format) }
        },
        "to_date": [
            Signature(.text, .text, result: .date, read(.date) { (fields) throws(Fault) in try fields.days() })
                .checking(1, checkReadable)
        ],
        "to_timestamp": [
            Signature(
                .text, .text, result: .timestamptz,
                read(.timestamptz) { (fields) throws(Fault) in try fields.timestamp() }
            ).checking(1, checkReadable)
        ],
    ]

    @Sendable private static func checkReadable(_ format: Bytes) throws(Fault) { _ = try readable(format) }

    private static func readable(_ format: Bytes) throws(Fault) -> DateFormat {
        let format = try DateFormat(format)
        try format.checkReadable()
        return format
    }

    /// The last format that was read.
    private struct Known {
        private var text: Bytes?
        private var format: DateFormat?
        let read: (Bytes) throws(Fault) -> DateFormat

        init(_ read: @escaping (Bytes) throws(Fault) -> DateFormat) { self.read = read }

        mutating func format(_ wanted: Bytes) throws(Fault) -> DateFormat {
            if let text, let format, text.elementsEqual(wanted) { return format }
            let found = try read(wanted)
            (text, format) = (wanted, found)
            return found
        }
    }

    private static func write(isZoned: Bool) -> Kernel {
        Kernel(canFault: true) { arguments, frame, evaluation in
            let times = IntBuffer(arguments[0].values)
            let formats = BytesBuffer(arguments[1].values)
            let (maskA, maskB) = (arguments[0].mask, arguments[1].mask)
            var known = Known { (format) throws(Fault) in try DateFormat(format) }
            var absent: [Int] = []
            var result = Lift.build(.text, arguments, frame, &evaluation) { (index, output) throws(Fault) in
                let (time, format) = (times[index & maskA], formats[index & maskB])
                guard !format.isEmpty, !DateTime.isInfinite(time) else { return absent.append(index) }
                try known.format(format).write(time, isZoned: isZoned, to: &output)
            }
            for index in absent { result.valid[index] = 0 }
            return result
        }
    }

    private static func read(
        _ type: SQLType, _ value: @escaping @Sendable (DateFields) throws(Fault) -> Int64
    ) -> Kernel {
        Kernel(canFault: true) { arguments, frame, evaluation in
            let texts = BytesBuffer(arguments[0].values)
            let formats = BytesBuffer(arguments[1].values)
            let (maskA, maskB) = (arguments[0].mask, arguments[1].mask)
            var known = Known(readable)
            return Lift.run(type, arguments, frame, &evaluation) { (index) throws(Fault) -> Int64? in
                try value(try known.format(formats[index & maskB]).read(texts[index & maskA]))
            }
        }
    }
}
