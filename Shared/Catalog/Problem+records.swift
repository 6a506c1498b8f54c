public import HTTP
import JSON
public import Records

extension Problem {
    /// A body that cannot be taken in, with the place of the fault.
    public init(_ error: RecordsError) {
        let code: ProblemCode =
            switch error.code {
            case .unsplittable: .malformedBody
            case .limit, .expandedTooLarge: .payloadTooLarge
            case .corruptCompression: .invalidEncoding
            case .corruptFrame, .incompatibleFrames, .untypedColumn, .corruptCopy, .library: .internalError
            }
        let place = error.position.map { position in
            [
                ("line", JSONValue.number(position.line)), ("column", .number(position.column)),
                ("byte", .number(position.byte)),
            ]
        }
        self.init(code, error.message, extensions: place ?? [])
    }
}
