/// How the text of a value, as PostgreSQL prints it, becomes JSON.
indirect enum ValueShape: Sendable, Equatable {
    /// int2, int4, oid: always a JSON number.
    case integer
    /// int8: a number that not every reader's double can hold.
    case wideInteger
    case numeric
    case float
    case bool
    /// json keeps its white space, line ends among it.
    case json
    case jsonb
    case timestamptz
    case timestamp
    /// A JSON string.
    case text
    /// A JSON array; nested for more dimensions.
    case array(ValueShape)

    /// Of a built-in type that is no array; those not listed are text.
    init(builtIn oid: UInt32) {
        switch oid {
        case 16: self = .bool
        case 20: self = .wideInteger
        case 21, 23, 26: self = .integer
        case 114: self = .json
        case 700, 701: self = .float
        case 1114: self = .timestamp
        case 1184: self = .timestamptz
        case 1700: self = .numeric
        case 3802: self = .jsonb
        default: self = .text
        }
    }

    /// Types whose arrays are written with commas and hold nothing that JSON has no word for.
    static let arrayElements: Set<UInt32> = [
        16, 18, 19, 20, 21, 23, 25, 26, 114, 700, 701, 1042, 1043, 1082, 1083, 1114, 1184, 1186, 1266, 1700, 2950, 3802,
    ]
}
