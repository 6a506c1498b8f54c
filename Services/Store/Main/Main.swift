import Platform
import Store

/// `millrace-store` serves; `millrace-store migrate` prepares the database and ends.
@main
struct Main {
    struct UnknownCommand: Error, CustomStringConvertible {
        let arguments: [String]
        var description: String { "unknown command: \(arguments.joined(separator: " ")); there is only: migrate" }
    }

    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        await ServiceMain.run("store") { environment in
            switch arguments {
            case []: try await StoreService(StoreConfiguration(environment)).run()
            case ["migrate"]: try await StoreMigration(MigrateConfiguration(environment)).run()
            default: throw UnknownCommand(arguments: arguments)
            }
        }
    }
}
