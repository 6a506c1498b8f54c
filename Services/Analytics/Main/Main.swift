import Analytics
import Platform

/// `millrace-analytics` serves; `millrace-analytics health` asks the one that serves here whether it is ready.
@main
struct Main {
    static func main() async {
        await ServiceMain.run("analytics", port: AnalyticsConfiguration.defaultPort) { environment in
            try await AnalyticsService(AnalyticsConfiguration(environment)).run()
        }
    }
}
