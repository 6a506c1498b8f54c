public import JSON
public import Records

/// A pipeline as it is put: what it reads, its steps in order, and where its rows go.
///
/// Decoding checks names and shapes; what expressions mean is checked by ``PipelineCompiler``.
public struct PipelineDefinition: Sendable {
    public enum Source: Sendable, Hashable {
        /// A stream that records are sent to.
        case source(String)
        /// A table, read by a run.
        case dataset(String)

        /// Its name, if it is one.
        var dataset: String? { if case .dataset(let name) = self { name } else { nil } }
    }

    /// What happens to rows of earlier runs, or with the same primary key.
    public enum Mode: String, Sendable, CaseIterable {
        case append, upsert, ignore, replace
    }

    public struct Target: Sendable {
        public var dataset: String
        public var mode: Mode
        /// A condition under which an upserted row deletes the one with its key.
        public var deleteWhen: String?

        public init(dataset: String, mode: Mode = .append, deleteWhen: String? = nil) {
            self.dataset = dataset
            self.mode = mode
            self.deleteWhen = deleteWhen
        }
    }

    /// What becomes of a record that a step rejects.
    public enum ErrorPolicy: String, Sendable, CaseIterable { case quarantine }

    public static let maximumSteps = 100
    /// Outputs of one pipeline: its target, and one for each branch of its `route` steps.
    public static let maximumOutputs = 32

    public var source: Source
    public var steps: [StepDefinition]
    public var target: Target
    public var onError: ErrorPolicy

    public init(
        source: Source, steps: [StepDefinition] = [], target: Target, onError: ErrorPolicy = .quarantine
    ) {
        self.source = source
        self.steps = steps
        self.target = target
        self.onError = onError
    }

    /// Where rows go, by the number of the output: the target first, then the branches of `route` in the order in which
    /// they are written.
    public var outputs: [Target] {
        steps.reduce(into: [target]) { outputs, step in
            if case .route(let branches) = step { outputs += branches.map(\.target) }
        }
    }

    /// The names of the datasets that `lookup` steps read, each once.
    var lookupDatasets: Set<String> {
        steps.reduce(into: []) { names, step in
            if case .lookup(let lookup) = step { names.insert(lookup.dataset) }
        }
    }

    /// The names of all that it reads and fills: its source, the outputs' datasets, and those of `lookup` steps.
    var resources: Set<String> {
        let read =
            switch source {
            case .source(let name), .dataset(let name): name
            }
        return lookupDatasets.union(outputs.map(\.dataset)).union([read])
    }

    /// The names of the datasets whose rows it reads: its source, if it is one, and those of `lookup` steps.
    var datasetsRead: Set<String> { lookupDatasets.union(source.dataset.map { [$0] } ?? []) }

    /// The pipeline of a source that no other reads: records as they are, into the dataset of the source's name.
    public static func implicit(source: String) -> PipelineDefinition {
        PipelineDefinition(source: .source(source), target: Target(dataset: source))
    }
}

/// One step. Maps keep the order in which they were written.
public enum StepDefinition: Sendable {
    public struct Parse: Sendable {
        public enum Format: String, Sendable, CaseIterable {
            case json, csv, combined, common, syslog, logfmt, url, regex
            case queryString = "query_string"
        }

        public var format: Format
        /// The text column that is read; `line` if not said.
        public var from: String
        /// Of csv: the columns' names.
        public var columns: [String]
        /// Of regex: a Perl-compatible pattern with named groups.
        public var pattern: String?
    }

    /// How a column's values are made unreadable.
    public enum Masking: String, Sendable, CaseIterable {
        case sha256, redact
        case keepLast4 = "keep_last_4"
    }

    /// An array whose elements become rows.
    public struct Explode: Sendable {
        /// An array.
        public var column: String
        /// A column for the element's place, from 1.
        public var position: String?
        /// What becomes of a record without elements.
        public var empty = Empty.null
        /// It was written as the column's name alone.
        var isNameAlone = false

        public enum Empty: String, Sendable, CaseIterable { case null, filter }
    }

    /// Numbers far from the others.
    public struct Outliers: Sendable {
        public enum Method: String, Sendable, CaseIterable {
            case zscore, iqr

            var defaultThreshold: Double { self == .zscore ? 3 : 1.5 }
        }

        public enum Action: String, Sendable, CaseIterable { case quarantine, null, clip }

        public var column: String
        public var method: Method
        public var threshold: Double
        public var action: Action
        /// The columns whose equal values make a group; empty for the whole batch.
        public var by: [String]
    }

    /// Which of the rows with one key stays.
    public enum Keep: String, Sendable, CaseIterable { case first, last }

    /// Rows that a `route` step takes out of the pipeline, and where they go.
    public struct Branch: Sendable {
        public var condition: String
        public var target: PipelineDefinition.Target
    }

    /// Columns of another dataset that are joined by a key.
    public struct Lookup: Sendable {
        public var dataset: String
        /// A column, and the dataset's one that is equal to it.
        public var keys: [(column: String, source: String)]
        /// A column of the dataset, and what it is named among the rows.
        public var columns: [(source: String, column: String)]
        var missing: LookupStep.Missing
    }

    case parse(Parse)
    case cast([(column: String, type: ColumnType)])
    case derive([(column: String, expression: String)])
    case filter(String)
    /// When more rows than `limit` fail, the batch does.
    case expect([(name: String, condition: String)], limit: FailureLimit?)
    case select([String])
    case rename([(from: String, to: String)])
    case drop([String])
    case fill([(column: String, value: JSONValue)])
    case mask([(column: String, masking: Masking)])
    case flatten([String])
    case explode(Explode)
    case dedupe(by: [String], keep: Keep)
    case outliers(Outliers)
    case route([Branch])
    case lookup(Lookup)
}
