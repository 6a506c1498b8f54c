/// Why one row's value could not be computed.
struct Fault: Error, Sendable {
    /// `invalid_cast`, `out_of_range`, `division_by_zero`, `invalid_argument` or `limit_exceeded`.
    let code: String
    let message: String

    init(_ code: String, _ message: String) {
        self.code = code
        self.message = message
    }

    static var divisionByZero: Fault { Fault("division_by_zero", "division by zero") }
    static var integerRange: Fault { range("bigint out of range") }
    static var numericOverflow: Fault { range("value overflows numeric format") }
    static var floatOverflow: Fault { range("value out of range: overflow") }
    static var floatUnderflow: Fault { range("value out of range: underflow") }
    static var timestampRange: Fault { Fault("out_of_range", "timestamp out of range") }
    static var dateRange: Fault { Fault("out_of_range", "date out of range") }
    static var intervalRange: Fault { Fault("out_of_range", "interval out of range") }

    static func range(_ message: String) -> Fault { Fault("out_of_range", message) }
    static func invalid(_ message: String) -> Fault { Fault("invalid_argument", message) }
}
