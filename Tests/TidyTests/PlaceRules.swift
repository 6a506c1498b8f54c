/// What lies where in the repository, and that nothing names the machine it was written on.
enum PlaceRules {
    static let topLevel: Set<String> = [
        "Package.swift", "Services", "Shared", "Tests", "deploy", "compose.yaml", "README.md", "Makefile", "LICENSE",
    ]

    /// The first part of absolute paths that only exist on a developer's machine.
    static let machineFolders = ["work", "root", "home", "Users", "workspace", "mnt"]

    static func strangers(atTopLevel names: [String]) -> [Finding] {
        names.filter { !topLevel.contains($0) && !$0.hasPrefix(".") }.map {
            Finding(path: $0, line: 1, message: "does not belong at the top level")
        }
    }

    /// Absolute paths of a developer's machine. A path below the system's directory for temporary files must begin
    /// with the project's name, or be made by a program.
    static func machinePaths(_ file: SourceFile) -> [Finding] {
        file.lines.enumerated().flatMap { index, line in
            absolutePaths(in: line).filter(isMachinePath).map {
                file.finding(index + 1, "/\($0.joined(separator: "/")) is a path of one machine")
            }
        }
    }

    private static func isMachinePath(_ parts: [String]) -> Bool {
        guard parts.count > 1, let first = parts.first else { return false }
        return machineFolders.contains(first) || (first == "tmp" && !parts[1].hasPrefix("millrace"))
    }

    /// The parts of each path that begins with a slash which no part of a URL or a relative path stands before.
    private static func absolutePaths(in line: Substring) -> [[String]] {
        var paths: [[String]] = []
        var before: Character = " "
        var index = line.startIndex
        while index < line.endIndex {
            let character = line[index]
            if character == "/", !isPathCharacter(before), before != "/", before != "}", before != ")" {
                let path = line[index...].prefix { isPathCharacter($0) || $0 == "/" }
                paths.append(path.split(separator: "/").map(String.init))
                before = path.last ?? "/"
                index = path.endIndex
            } else {
                before = character
                index = line.index(after: index)
            }
        }
        return paths
    }

    private static func isPathCharacter(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || "._-~*$".contains(character)
    }
}
