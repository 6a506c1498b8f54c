import Platform
import Transform

/// `millrace-transform` serves; `millrace-transform health` asks the one that serves here whether it is ready.
@main
struct Main {
    static func main() async {
        await ServiceMain.run("transform", port: TransformConfiguration.defaultPort) { environment in
            try await TransformService(TransformConfiguration(environment)).run()
        }
    }
}
