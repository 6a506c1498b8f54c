import Platform
import Store

/// `millrace-store` serves; `millrace-store migrate` prepares the database and ends; `millrace-store health` asks the
/// one that serves here whether it is ready.
@main
struct Main {
    static func main() async {
        await ServiceMain.run(
            "store", port: StoreConfiguration.defaultPort,
            commands: ["migrate": { try await StoreMigration(MigrateConfiguration($0)).run() }]
        ) { environment in
            try await StoreService(StoreConfiguration(environment)).run()
        }
    }
}
