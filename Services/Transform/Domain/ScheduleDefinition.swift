import JSON
import Queue

/// A schedule as it is put: when it ticks, and what of which pipeline each tick starts.
struct ScheduleDefinition: Sendable {
    enum Action: String, Sendable, CaseIterable {
        /// The pipeline again, over the batches that came in a window before the tick.
        case replay
        /// A run of a pipeline over a dataset.
        case run
    }

    struct Start: Sendable {
        var pipeline: String
        var action: Action
        /// Of a replay: how long before the tick the oldest batch may have come, in whole seconds.
        var window: Duration?
    }

    static let windowRange = Duration.seconds(60) ... .seconds(86_400 * 3650)

    var cron: CronExpression
    var zone: CronZone
    var missed: MissedTicks
    var start: Start
    /// Nil leaves it as it is.
    var isPaused: Bool?

    /// Reads a PUT's body. Throws every fault with its path; whether the pipeline exists is another question.
    init(_ fields: JSONFields) throws(FieldFaults) {
        let cron = Self.cron(fields)
        let zone = Self.zone(fields)
        missed = fields.optional("missed", oneOf: MissedTicks.self) ?? .once
        start = Self.start(fields.object("start"))
        isPaused = fields.optional("paused", Bool.self)
        try fields.finish()
        guard let cron, let zone else { throw FieldFaults([FieldFault(path: "cron", message: "is not valid")]) }
        self.cron = cron
        self.zone = zone
    }

    private static func cron(_ fields: JSONFields) -> CronExpression? {
        guard let text = fields.optional("cron", String.self) else {
            if !fields.has("cron") { _ = fields.required("cron", String.self) }
            return nil
        }
        do throws(CronFault) {
            return try CronExpression(text)
        } catch {
            fields.fault("cron", error.description)
            return nil
        }
    }

    private static func zone(_ fields: JSONFields) -> CronZone? {
        guard let name = fields.optional("timezone", String.self) else { return CronZone("UTC") }
        if let zone = CronZone(name) { return zone }
        fields.fault("timezone", "there is no time zone \"\(name.prefix(CronZone.maximumLength))\"")
        return nil
    }

    private static func start(_ fields: JSONFields) -> Start {
        let pipeline = fields.required("pipeline", String.self)
        let action = fields.required("action", oneOf: Action.self)
        guard let window = fields.optional("window", Duration.self) else {
            if action == .replay, !fields.has("window") { _ = fields.required("window", Duration.self) }
            return Start(pipeline: pipeline, action: action)
        }
        if action == .run {
            fields.fault("window", "goes with action replay only")
        } else if !windowRange.contains(window) || window.components.attoseconds != 0 {
            let (low, high) = (DurationText.format(windowRange.lowerBound), DurationText.format(windowRange.upperBound))
            fields.fault("window", "must be \(low) to \(high), in whole seconds")
        }
        return Start(pipeline: pipeline, action: action, window: window)
    }
}

extension ScheduleDefinition.Start {
    /// As it was put, in the shortest form.
    var json: JSONValue {
        var members: [(String, JSONValue)] = [
            ("pipeline", .string(pipeline)), ("action", .string(action.rawValue)),
        ]
        if let window { members.append(("window", .string(DurationText.format(window)))) }
        return .object(JSONObject(members))
    }

    /// The arguments of a job of kind `run.start`; the queue adds a member `schedule` with the tick.
    func arguments(pipelineID: Int64) -> JSONValue {
        var members: [(String, JSONValue)] = [
            ("pipeline", .number(pipelineID)), ("action", .string(action.rawValue)),
        ]
        if let window { members.append(("window_seconds", .number(window.components.seconds))) }
        return .object(JSONObject(members))
    }
}
