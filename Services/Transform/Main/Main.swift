import Platform
import Transform

@main
struct Main {
    static func main() async {
        await ServiceMain.run("transform") { environment in
            try await TransformService(TransformConfiguration(environment)).run()
        }
    }
}
