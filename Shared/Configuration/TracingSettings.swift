/// Where a process's spans are sent, by OTLP over HTTP as JSON, and of which traces.
///
/// | variable | default | |
/// |---|---|---|
/// | `MILLRACE_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_ENDPOINT` | | the collector's base URL; without one no traces |
/// | `OTEL_EXPORTER_OTLP_HEADERS`, `…_FILE` | | fields of the requests: `name=value,…`, values percent-encoded |
/// | `OTEL_EXPORTER_OTLP_CERTIFICATE` | the system's | a file of PEM certificates to trust |
/// | `OTEL_SERVICE_NAME` | `millrace-<service>` | what the spans are said to come from |
/// | `OTEL_TRACES_SAMPLER_ARG` | `1` | the share of the traces begun here that is recorded, from 0 to 1 |
///
/// A trace that a client began is recorded if its `traceparent` says so.
public struct TracingSettings: Sendable {
    /// Where spans are posted to.
    public let url: String
    /// Name and percent-encoded value; the values are secrets.
    public let headers: [(name: String, value: Secret)]
    public let certificateAuthorities: String?
    public let serviceName: String
    /// From 0 to 1.
    public let ratio: Double

    /// Reads them; nil where no collector is named. Faults are kept in `settings`.
    public init?(service: String, from settings: inout Settings) {
        let names = ["MILLRACE_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"]
        guard let name = names.first(where: { settings.optionalText($0) != nil }),
            let fallback = ServiceURL("http://localhost:4318")
        else { return nil }
        let base = settings.url(name, default: fallback, schemes: ["http", "https"]).description
        url = (base.hasSuffix("/") ? String(base.dropLast()) : base) + "/v1/traces"
        headers = Self.headers(&settings)
        certificateAuthorities = settings.optionalText("OTEL_EXPORTER_OTLP_CERTIFICATE")
        serviceName = settings.text("OTEL_SERVICE_NAME", default: "millrace-\(service)")
        ratio = settings.share("OTEL_TRACES_SAMPLER_ARG", default: 1)
    }

    private static func headers(_ settings: inout Settings) -> [(name: String, value: Secret)] {
        let name = "OTEL_EXPORTER_OTLP_HEADERS"
        guard let text = settings.optionalSecret(name)?.reveal() else { return [] }
        let pairs = text.split(separator: ",").map { $0.split(separator: "=", maxSplits: 1).map(SettingText.trimmed) }
        guard pairs.allSatisfy({ $0.count == 2 && !$0[0].isEmpty }) else {
            settings.refuse(name, "must be fields such as name=value, separated by commas")
            return []
        }
        return pairs.map { ($0[0], Secret($0[1])) }
    }
}
