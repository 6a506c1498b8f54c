/// The fields a date and time text named, before they are put together.
struct DateTime {
    enum Special { case infinity, minusInfinity, epoch }

    var special: Special?
    var year: Int?
    var month: Int?
    var day: Int?
    /// A day number counted from 2000-01-01 that stands for year, month and day (a Julian date).
    var dayNumber: Int?
    var yearDigits = 0
    var isBC = false
    var hour: Int?
    var minute = 0
    var second = 0
    var micros: Int64 = 0
    var isAfternoon: Bool?
    var zone: TimeZoneTable.Zone?

    /// Days since 2000-01-01 of the date fields.
    private func days() throws(InputFault) -> Int {
        if let dayNumber { return dayNumber }
        guard var year, let month, let day else { throw .syntax }
        if isBC {
            guard year > 0 else { throw .field }
            year = 1 - year
        } else if yearDigits <= 2 {
            year += year < 70 ? 2000 : 1900
        } else if year == 0 {
            throw .field
        }
        guard (1...12).contains(month), day >= 1, day <= 31 else { throw .field }
        guard day <= CivilDate.daysInMonth(year: year, month: month) else { throw .field }
        return CivilDate.days(year: year, month: month, day: day)
    }

    /// Microseconds of the day, up to 24:00:00 (and a leap second's 23:59:60).
    private func time() throws(InputFault) -> Int64 {
        guard var hour else { return 0 }
        if let isAfternoon {
            guard hour <= 12 else { throw .field }
            hour = hour % 12 + (isAfternoon ? 12 : 0)
        }
        guard minute < 60, second <= 60 else { throw .field }
        let micros = (Int64(hour) * 3_600 + Int64(minute) * 60 + Int64(second)) * 1_000_000 + micros
        guard hour < 25, micros <= CivilDate.microsecondsPerDay else { throw .field }
        return micros
    }

    func timestamp() throws(InputFault) -> Int64 {
        switch special {
        case .infinity: return .max
        case .minusInfinity: return .min
        case .epoch: return -946_684_800_000_000
        case nil: break
        }
        let days = try days()
        let time = try time()
        // Beyond the range, and within what the product below can hold.
        guard (-2_500_000...106_751_990).contains(days) else { throw .range }
        let local = Int64(days) * CivilDate.microsecondsPerDay
        let (sum, overflow) = local.addingReportingOverflow(time)
        guard !overflow else { throw .range }
        let floor = sum >= 0 ? sum / 1_000_000 : (sum - 999_999) / 1_000_000
        let offset = Int64(zone?.offset(local: floor) ?? 0) * 1_000_000
        let (moment, beyond) = sum.subtractingReportingOverflow(offset)
        guard !beyond, CivilDate.timestampRange.contains(moment) else { throw .range }
        return moment
    }

    func date() throws(InputFault) -> Int64 {
        switch special {
        case .infinity: return .max
        case .minusInfinity: return .min
        case .epoch: return -10_957
        case nil: break
        }
        let days = try days()
        _ = try time()
        guard CivilDate.dateRange.contains(days) else { throw .range }
        return Int64(days)
    }
}
