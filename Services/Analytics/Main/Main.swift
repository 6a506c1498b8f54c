import Analytics
import Platform

@main
struct Main {
    static func main() async {
        await ServiceMain.run("analytics") { environment in
            try await AnalyticsService(AnalyticsConfiguration(environment)).run()
        }
    }
}
