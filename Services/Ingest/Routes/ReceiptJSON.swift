import Catalog
import JSON

extension Receipt {
    /// What `?wait=stored` answers when the time has run out.
    var acknowledgement: JSONValue {
        ["receipt": .string(id.description), "state": .string(state.rawValue)]
    }

    /// What `?wait=stored` answers when all is stored.
    var summary: JSONValue {
        [
            "receipt": .string(id.description), "state": .string(state.rawValue), "received": .number(head.received),
            "stored": .number(stored), "filtered": .number(filtered), "quarantined": .number(quarantined),
            "duplicates": .number(duplicates),
        ]
    }

    /// `GET /v1/receipts/{id}`.
    var json: JSONValue {
        [
            "id": .string(id.description), "source": .string(head.source), "state": .string(state.rawValue),
            "received": .number(head.received), "stored": .number(stored), "filtered": .number(filtered),
            "quarantined": .number(quarantined), "duplicates": .number(duplicates),
            "outputs": .array(outputs.map(\.json)),
            "received_at": .timestamp(head.receivedAt), "stored_at": storedAt.map(JSONValue.timestamp) ?? nil,
        ]
    }
}

extension ReceiptPart {
    var json: JSONValue {
        [
            "pipeline": .string(pipeline), "version": .optional(version), "dataset": .optional(dataset),
            "state": .string(state), "error": .optional(error), "stored": .number(stored),
            "filtered": .number(filtered), "quarantined": .number(quarantined), "duplicates": .number(duplicates),
        ]
    }
}

extension BatchSummary {
    /// An item of `GET /v1/batches`.
    var json: JSONValue {
        [
            "id": .string(String(id)), "source": .string(source), "format": .string(format), "state": .string(state),
            "records": .number(records), "raw_bytes": .number(rawBytes), "stored_bytes": .number(storedBytes),
            "requests": .number(receipts), "received_at": .timestamp(receivedAt), "raw_available": .bool(hasRaw),
        ]
    }
}
