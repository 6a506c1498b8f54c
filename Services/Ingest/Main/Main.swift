import Ingest
import Platform

/// `millrace-ingest` serves; `millrace-ingest health` asks the one that serves here whether it is ready.
@main
struct Main {
    static func main() async {
        await ServiceMain.run("ingest", port: IngestConfiguration.defaultPort) { environment in
            try await IngestService(IngestConfiguration(environment)).run()
        }
    }
}
