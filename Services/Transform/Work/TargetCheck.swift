import HTTP
import JSON
import Postgres

/// Whether a dataset can be filled as a pipeline's target says: upsert and ignore merge rows by its primary key, and
/// all pipelines that fill such a dataset do so in the same mode, since otherwise the order of loading would matter; a
/// pipeline that replaces a dataset's rows is the only one that fills it.
struct TargetCheck: Sendable {
    let pipeline: String
    let sourceID: Int64
    let target: PipelineDefinition.Target
    /// All of the pipeline's.
    let others: [PipelineDefinition.Target]
    /// Of the output.
    let number: Int
    let workspaceID: Int64

    /// Locks the dataset against changes of its definition, and against other checks, until the transaction ends.
    func run(_ connection: PostgresConnection) async throws {
        let mode = target.mode
        let dataset = try await connection.query(HoldDataset(workspaceID: workspaceID, name: target.dataset)).first
        if mode.merges {
            guard let dataset else {
                throw refused(
                    .invalidPipeline, "dataset",
                    """
                    there is no dataset \(target.dataset); mode \(mode.rawValue) needs one that was put with a \
                    primary_key
                    """)
            }
            guard dataset.hasPrimaryKey else {
                throw refused(
                    .invalidPipeline, "dataset",
                    "the dataset \(target.dataset) has no primary_key, which mode \(mode.rawValue) needs")
            }
        }
        if let other = others.first(where: { $0.dataset == target.dataset && $0.mode != mode }),
            mode.merges || other.mode.merges
        {
            throw refused(
                .invalidPipeline, "mode",
                "the pipeline's outputs into \(target.dataset) have modes \(mode.rawValue) and \(other.mode.rawValue)")
        }
        let find = FindOtherModes(workspaceID: workspaceID, target: target, pipeline: pipeline, sourceID: sourceID)
        if let other = try await connection.query(find).first {
            throw refused(.conflict, "mode", other.description(for: target))
        }
    }

    private func refused(_ code: ProblemCode, _ field: String, _ message: String) -> Problem {
        let fault = FieldFault(path: number == 0 ? "target.\(field)" : "steps.route.\(field)", message: message)
        return Problem(code, fault.description, errors: [fault])
    }
}

extension PipelineDefinition.Mode {
    /// Rows meet others by the dataset's primary key.
    var merges: Bool { self == .upsert || self == .ignore }
}
