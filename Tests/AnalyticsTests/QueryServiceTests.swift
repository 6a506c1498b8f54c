import Testing

/// Tests of the service as it runs. One after the other: the workspaces' roles belong to the whole cluster.
@Suite(.serialized) enum QueryServiceTests {}
