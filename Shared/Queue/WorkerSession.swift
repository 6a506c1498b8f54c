import Postgres

/// A worker's registration in the database, from `register_worker` until it leaves or is declared lost.
struct WorkerSession: Sendable {
    let worker: Int64
    let queue: Int16
    let book: LeaseBook
    let backends: BackendRegistry
    let settler: Settler

    init(_ row: RegisterWorkerStatement.Row, pool: PostgresPool) {
        worker = row.worker
        queue = row.queue
        book = LeaseBook()
        backends = BackendRegistry(worker: row.worker)
        settler = Settler(pool: pool, backends: backends, limit: LeaseCore.closeLimit)
    }
}
