import Records

/// Makes columns text that cannot be read back. NULL stays NULL; other values are taken as PostgreSQL prints them.
///
/// - `sha256`: HMAC-SHA256 under the workspace's salt, in hexadecimal: equal values stay equal, in all pipelines of a
///   workspace and for good, and cannot be guessed without the salt.
/// - `redact`: `***`.
/// - `keep_last_4`: stars for all characters but the last four; of four and fewer none is kept.
struct MaskStep: PipelineStep {
    let masks: [(column: String, masking: StepDefinition.Masking)]
    let digest: KeyedDigest

    func apply(_ batch: RecordBatch, _ context: StepContext) -> StepResult {
        var batch = batch
        for (name, masking) in masks {
            let (texts, validity) = batch.text(name)
            var masked = ByteColumn(reserving: texts.count, bytes: texts.count * (masking == .sha256 ? 64 : 8))
            let data = texts.data.span
            for row in 0..<texts.count {
                if validity[row] != 0 { append(data.extracting(texts.range(row)), masking, into: &masked.data) }
                masked.endValue()
            }
            batch.set(name, Column(.text, .bytes(masked), validity: validity))
        }
        return StepResult(batch)
    }

    private func append(_ text: Span<UInt8>, _ masking: StepDefinition.Masking, into output: inout [UInt8]) {
        switch masking {
        case .sha256: digest.appendHex(of: text, into: &output)
        case .redact: output.append(contentsOf: repeatElement(UInt8(ascii: "*"), count: 3))
        case .keepLast4:
            var characters = 0
            var tail = text.count
            var kept = 0
            for index in stride(from: text.count - 1, through: 0, by: -1) where text[index] & 0xC0 != 0x80 {
                characters += 1
                if characters <= 4 { (tail, kept) = (index, characters) }
            }
            if characters <= 4 { (tail, kept) = (text.count, 0) }
            output.append(contentsOf: repeatElement(UInt8(ascii: "*"), count: characters - kept))
            JSONText.append(text.extracting(tail..<text.count), into: &output)
        }
    }
}
