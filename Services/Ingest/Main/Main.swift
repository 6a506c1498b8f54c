import Ingest
import Platform

@main
struct Main {
    static func main() async {
        await ServiceMain.run("ingest") { environment in
            try await IngestService(IngestConfiguration(environment)).run()
        }
    }
}
