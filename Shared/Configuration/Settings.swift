/// Reads typed settings from an environment and collects what is wrong with them.
///
/// Each call gives a usable value: the default where a variable is missing or wrong. `finish()` throws once, with
/// all faults, so the values must not be used before it has returned.
public struct Settings {
    private let environment: Environment
    private var faults: [ConfigurationError.Fault] = []

    public init(_ environment: Environment) {
        self.environment = environment
    }

    /// Throws when anything was missing or wrong.
    public func finish() throws(ConfigurationError) {
        if !faults.isEmpty { throw ConfigurationError(faults: faults) }
    }

    /// Notes a fault of a rule between several settings.
    public mutating func refuse(_ name: String, _ message: String) {
        faults.append(.init(name: name, message: message))
    }

    public mutating func text(_ name: String, default fallback: String) -> String {
        environment[name] ?? fallback
    }

    public mutating func optionalText(_ name: String) -> String? {
        environment[name]
    }

    public mutating func requiredText(_ name: String) -> String {
        if let value = environment[name] { return value }
        refuse(name, "is required")
        return ""
    }

    /// Texts separated by commas, without the white space around them; empty ones are left out.
    public mutating func list(_ name: String, default fallback: [String] = []) -> [String] {
        guard let text = environment[name] else { return fallback }
        return text.split(separator: ",").map(SettingText.trimmed).filter { !$0.isEmpty }
    }

    /// A list of what `convert` reads; `expected` says in a fault what a member must be.
    public mutating func list<Value>(
        _ name: String, default fallback: [Value], of expected: String, _ convert: (String) -> Value?
    ) -> [Value] {
        guard environment[name] != nil else { return fallback }
        var values: [Value] = []
        for text in list(name) {
            if let value = convert(text) {
                values.append(value)
            } else {
                refuse(name, "must be a list of \(expected), not \(SettingText.quoted(text))")
            }
        }
        return values
    }

    /// A whole number within `range`.
    public mutating func integer(_ name: String, default fallback: Int, in range: ClosedRange<Int>) -> Int {
        parse(name, fallback, "a whole number from \(range.lowerBound) to \(range.upperBound)") { text in
            SettingText.integer(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// A share from 0 to 1, such as `0.05`.
    public mutating func share(_ name: String, default fallback: Double) -> Double {
        parse(name, fallback, "a number from 0 to 1") { text in
            Double(text).flatMap { (0...1).contains($0) ? $0 : nil }
        }
    }

    /// A TCP port to listen on, from the first of the names that is set; 0 lets the system choose.
    public mutating func port(_ names: [String], default fallback: UInt16) -> UInt16 {
        guard let name = names.first(where: { environment[$0] != nil }) else { return fallback }
        return parse(name, fallback, "a port from 0 to 65535") {
            SettingText.integer($0).flatMap(UInt16.init(exactly:))
        }
    }

    /// `true`, `yes`, `on`, `1` or `false`, `no`, `off`, `0`.
    public mutating func boolean(_ name: String, default fallback: Bool) -> Bool {
        parse(name, fallback, "true or false", SettingText.boolean)
    }

    /// A number of bytes such as `65536`, `512KiB`, `2GiB` (powers of 1024), `10MB` (powers of 1000).
    public mutating func byteCount(
        _ name: String, default fallback: Int, in range: ClosedRange<Int> = 0...Int.max
    ) -> Int {
        parse(name, fallback, "a number of bytes such as 512KiB or 2GiB\(Self.limits(range))") { text in
            SettingText.byteCount(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// A time such as `250ms`, `30s`, `5m`, `1h30m`, `7d`.
    public mutating func duration(
        _ name: String, default fallback: Duration, in range: ClosedRange<Duration> = .zero ... .seconds(1 << 33)
    ) -> Duration {
        parse(name, fallback, "a time from \(range.lowerBound) to \(range.upperBound), such as 250ms, 30s or 1h30m") {
            text in SettingText.duration(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// One of an enumeration's cases, by its raw value.
    public mutating func choice<Choice: RawRepresentable & CaseIterable>(
        _ name: String, default fallback: Choice
    ) -> Choice where Choice.RawValue == String {
        let names = Choice.allCases.map(\.rawValue).joined(separator: ", ")
        return parse(name, fallback, "one of \(names)", Choice.init(rawValue:))
    }

    /// An absolute URL with a host and one of these schemes; one with a user or password in it is refused, for it
    /// would be a secret.
    public mutating func url(_ name: String, default fallback: ServiceURL, schemes: [String]) -> ServiceURL {
        parse(name, fallback, "a URL with a host and no user, and with the scheme \(schemes.joined(separator: " or "))")
        {
            ServiceURL($0).flatMap { schemes.contains($0.scheme) ? $0 : nil }
        }
    }

    /// A secret from `NAME`, or from the file that `NAME_FILE` names; nil when neither is set.
    public mutating func optionalSecret(_ name: String) -> Secret? {
        let fileName = name + "_FILE"
        guard let path = environment[fileName] else { return environment[name].map(Secret.init) }
        guard environment[name] == nil else {
            refuse(name, "and \(fileName) are both set; set one")
            return nil
        }
        do {
            let text = try environment.text(ofFile: path)
            if !text.isEmpty { return Secret(text) }
            refuse(fileName, "names a file that is empty")
        } catch {
            refuse(fileName, "names a file that \(error.reason)")
        }
        return nil
    }

    /// A secret that must be there, from `NAME` or the file that `NAME_FILE` names.
    public mutating func requiredSecret(_ name: String) -> Secret {
        let faultsBefore = faults.count
        if let secret = optionalSecret(name) { return secret }
        if faults.count == faultsBefore { refuse(name, "is required, itself or as a file named by \(name)_FILE") }
        return Secret("")
    }

    private mutating func parse<Value>(
        _ name: String, _ fallback: Value, _ expected: String, _ convert: (String) -> Value?
    ) -> Value {
        guard let text = environment[name] else { return fallback }
        if let value = convert(text) { return value }
        refuse(name, "must be \(expected), not \(SettingText.quoted(text))")
        return fallback
    }

    private static func limits(_ range: ClosedRange<Int>) -> String {
        switch (range.lowerBound, range.upperBound) {
        case (0, Int.max): ""
        case (let low, Int.max): ", at least \(low)"
        case (let low, let high): ", from \(low) to \(high)"
        }
    }
}
