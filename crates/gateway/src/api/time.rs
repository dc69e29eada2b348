use althing_record::Millis;

/// The last millisecond that RFC 3339's four-digit years can name.
const END_OF_RFC3339: u64 = 253_402_300_799_999;

/// A time as RFC 3339 in UTC with milliseconds, such as `2026-11-20T13:15:00.000Z`.
///
/// Times after the year 9999 are written as its last millisecond.
#[must_use]
pub fn rfc3339(time: Millis) -> String {
    let ms = time.0.min(END_OF_RFC3339);
    let (days, ms_of_day) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (ms_of_day / 3_600_000, ms_of_day / 60_000 % 60, ms_of_day / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1_000)
}

/// The Gregorian date a number of days after 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date
/// algorithms", `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected values from GNU date -u -d @SECONDS.
    #[test]
    fn times_are_written_as_gnu_date_writes_them() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_210_096_789, "2024-02-29T12:34:56.789Z"),
            (1_735_689_599_001, "2024-12-31T23:59:59.001Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (END_OF_RFC3339, "9999-12-31T23:59:59.999Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(Millis(ms)), text);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut previous = civil(0);
        for days in 1..300_000 {
            let date = civil(days);
            let next_day = date.2 == previous.2 + 1 && (date.0, date.1) == (previous.0, previous.1);
            let next_month =
                date.2 == 1 && date.1 == previous.1 + 1 && date.0 == previous.0 && previous.2 >= 28;
            let next_year = date == (previous.0 + 1, 1, 1) && (previous.1, previous.2) == (12, 31);
            assert!(next_day || next_month || next_year, "{previous:?} then {date:?}");
            previous = date;
        }
    }
}
