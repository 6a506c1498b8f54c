public import Configuration
import HTTP
public import HTTPServer

extension EdgePolicy {
    /// Reads it from the settings.
    ///
    /// | variable | default | |
    /// |---|---|---|
    /// | `MILLRACE_TRUSTED_PROXIES` | `127.0.0.0/8, ::1` | addresses and ranges, or `none` |
    /// | `MILLRACE_CORS_ORIGINS` | | origins such as `https://console.example`, or `*` |
    /// | `MILLRACE_COMPRESSION` | `on` | whether answers are compressed by `Accept-Encoding` |
    public init(from settings: inout Settings) {
        self.init()
        trustedProxies = EdgePolicy.proxies(&settings)
        crossOrigin = EdgePolicy.crossOrigin(&settings)
        compresses = settings.boolean("MILLRACE_COMPRESSION", default: true)
    }

    private static func proxies(_ settings: inout Settings) -> TrustedProxies {
        let name = "MILLRACE_TRUSTED_PROXIES"
        switch settings.list(name) {
        case []: return .loopback
        case ["none"]: return .none
        default:
            let ranges = settings.list(name, default: [], of: "addresses and ranges such as 10.0.0.0/8, or none") {
                AddressRange($0)
            }
            return TrustedProxies(ranges)
        }
    }

    private static func crossOrigin(_ settings: inout Settings) -> CrossOriginPolicy? {
        let name = "MILLRACE_CORS_ORIGINS"
        if settings.list(name) == ["*"] { return CrossOriginPolicy(.any) }
        let origins = settings.list(
            name, default: [], of: "origins such as https://console.example without a path, or *", WebOrigin.init)
        return origins.isEmpty ? nil : CrossOriginPolicy(.only(Set(origins)))
    }
}
