/// Encodes a statement's parameters for libpq, again and again in the same memory.
///
/// Small values lie one after another in `scratch`; a large `bytes` is handed over where it is. libpq copies both into
/// its output buffer before the call returns, so the pointers live no longer than it.
@safe struct ParameterBuffer {
    /// What `PQsendQueryParams` takes, valid during the call of the closure.
    @unsafe struct Encoded {
        let count: CInt
        let types: UnsafePointer<UInt32>?
        let values: UnsafePointer<UnsafePointer<CChar>?>?
        let lengths: UnsafePointer<CInt>?
        let formats: UnsafePointer<CInt>?
    }

    /// From this size on a value is not copied into `scratch`.
    private static let largeValue = 4096
    /// Scratch memory beyond this is given back after use.
    private static let scratchKept = 1 << 20

    private var scratch: [UInt8] = []
    private var offsets: [Int] = []
    private var lengths: [CInt] = []
    private var formats: [CInt] = []
    private var types: [UInt32] = []
    private var values: [UnsafePointer<CChar>?] = unsafe []

    mutating func withEncoded<T>(_ parameters: [PostgresValue], _ body: (Encoded) -> T) -> T {
        encode(parameters)
        let result = unsafe withLarge(parameters, from: 0, body)
        if scratch.capacity > Self.scratchKept { scratch = [] }
        return result
    }

    private mutating func encode(_ parameters: [PostgresValue]) {
        scratch.removeAll(keepingCapacity: true)
        offsets.removeAll(keepingCapacity: true)
        lengths.removeAll(keepingCapacity: true)
        types.removeAll(keepingCapacity: true)
        unsafe values.removeAll(keepingCapacity: true)
        formats.removeAll(keepingCapacity: true)
        for parameter in parameters {
            formats.append(parameter.isSentAsText ? 0 : 1)
            types.append(parameter.typeOID)
            unsafe values.append(nil)
            offsets.append(scratch.count)
            if let large = parameter.largeBytes(from: Self.largeValue) {
                lengths.append(CInt(clamping: large.count))
            } else {
                parameter.encode(into: &scratch)
                lengths.append(CInt(clamping: scratch.count - (offsets.last ?? 0)))
                // libpq finds the end of a text by its NUL.
                if parameter.isSentAsText { scratch.append(0) }
            }
        }
        // An empty value needs a pointer too: libpq takes nil for NULL.
        if scratch.isEmpty { scratch.append(0) }
    }

    /// Pins the large values one inside another, then the scratch memory, and calls `body` in the middle.
    private mutating func withLarge<T>(
        _ parameters: [PostgresValue], from start: Int, _ body: (Encoded) -> T
    ) -> T {
        var index = start
        while index < parameters.count {
            if let large = parameters[index].largeBytes(from: Self.largeValue) {
                return unsafe large.withUnsafeBytes { bytes in
                    unsafe values[index] = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
                    return unsafe withLarge(parameters, from: index + 1, body)
                }
            }
            index += 1
        }
        return unsafe withScratch(parameters, body)
    }

    private mutating func withScratch<T>(_ parameters: [PostgresValue], _ body: (Encoded) -> T) -> T {
        let count = parameters.count
        return unsafe scratch.withUnsafeBytes { bytes in
            for index in 0..<count where unsafe values[index] == nil && !parameters[index].isNull {
                unsafe values[index] = bytes.baseAddress?.advanced(by: offsets[index])
                    .assumingMemoryBound(to: CChar.self)
            }
            return unsafe types.withUnsafeBufferPointer { types in
                unsafe values.withUnsafeBufferPointer { values in
                    unsafe lengths.withUnsafeBufferPointer { lengths in
                        unsafe formats.withUnsafeBufferPointer { formats in
                            unsafe body(
                                Encoded(
                                    count: CInt(count), types: types.baseAddress, values: values.baseAddress,
                                    lengths: lengths.baseAddress, formats: formats.baseAddress))
                        }
                    }
                }
            }
        }
    }
}

extension PostgresValue {
    fileprivate var isNull: Bool {
        if case .null = self { true } else { false }
    }

    /// The server reads it by the input function of the type that the statement gives it.
    fileprivate var isSentAsText: Bool {
        if case .inferred = self { true } else { false }
    }

    /// The bytes of a value that is as large as that and is sent as it is.
    fileprivate func largeBytes(from size: Int) -> [UInt8]? {
        if case .bytes(let bytes) = self, bytes.count >= size { bytes } else { nil }
    }
}
