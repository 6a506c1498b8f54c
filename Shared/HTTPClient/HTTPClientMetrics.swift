import Observability

/// What a client tells the metrics.
struct HTTPClientMetrics: Sendable {
    let transfers: Gauge
    let connectionsOpened: Counter
    let addressesRefused: Counter
    let answered: Counter
    private let failures: [HTTPClientError.Code: Counter]

    init(_ registry: MetricsRegistry) {
        transfers = registry.gauge("millrace_http_client_transfers", help: "Requests that are under way.")
        connectionsOpened = registry.counter(
            "millrace_http_client_connections_opened_total", help: "Connections opened, rather than used again.")
        addressesRefused = registry.counter(
            "millrace_http_client_addresses_refused_total", help: "Addresses that were not connected to.")
        answered = registry.counter("millrace_http_client_answers_total", help: "Answers whose head came.")
        failures = Dictionary(
            uniqueKeysWithValues: HTTPClientError.Code.allCases.map { code in
                let counter = registry.counter(
                    "millrace_http_client_failures_total", help: "Requests that failed, by reason.",
                    labels: [("reason", code.rawValue)])
                return (code, counter)
            })
    }

    func failed(_ code: HTTPClientError.Code) { failures[code]?.add() }
}
