/// What a history has much of. A lot of some things finds more than a little of all (swarm testing: Groce, Zhang, Eide,
/// Chen, Regehr, 2012). Numbers are percentages of requests, and of last attempts, but for the weight.
struct SimulationMood: Sendable {
    var arrays = 15
    var items = 1...12
    var limits = 20
    var limitKeys = ["host:a", "host:b"]
    var uniques = 20
    var children = 25
    var delays = 25
    var attempts = 1...3
    var deaths = 30
    /// Of the gate and the operator among all steps, beside 95 for the others.
    var operations = 19

    static let ordinary = SimulationMood()
    /// Arrays of which much is given back.
    static let arrays = SimulationMood(arrays: 50, limits: 5, operations: 30)
    /// Arrays that die soon.
    static let deadArrays = SimulationMood(arrays: 60, items: 1...2, attempts: 1...1, deaths: 80, operations: 40)
    /// Many jobs of one key.
    static let oneLimit = SimulationMood(arrays: 5, limits: 80, limitKeys: ["host:a"], delays: 5, operations: 45)
    /// Jobs that have to do with each other, and die.
    static let families = SimulationMood(
        uniques: 50, children: 30, delays: 10, attempts: 1...2, deaths: 60, operations: 30)
    static let all = [ordinary, arrays, deadArrays, oneLimit, families]
}
