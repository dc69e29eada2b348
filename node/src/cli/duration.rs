use std::time::Duration;

/// The units, the longest last, so that `ms` is found before `s`.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads a time such as `500ms`, `10s`, `2m`, `1h` or `1d`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a whole number and a unit: 500ms, 10s, 2m, 1h or 1d".to_owned();
    let (number, scale) = UNITS
        .iter()
        .find_map(|(unit, scale)| text.strip_suffix(unit).map(|number| (number, *scale)))
        .ok_or_else(wrong)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = number.parse().map_err(|_| wrong())?;
    match number.checked_mul(scale) {
        Some(0) => Err("expected a time longer than zero".to_owned()),
        Some(ms) => Ok(Duration::from_millis(ms)),
        None => Err("expected a shorter time".to_owned()),
    }
}

/// A time as [`parse`] reads it.
pub(crate) fn written(ms: u64) -> String {
    let (unit, scale) =
        UNITS.iter().rev().find(|(_, scale)| ms >= *scale && ms.is_multiple_of(*scale)).unwrap_or(&UNITS[0]);
    format!("{}{unit}", ms / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for (text, ms) in
            [("500ms", 500), ("10s", 10_000), ("2m", 120_000), ("1h", 3_600_000), ("1d", 86_400_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)));
            assert_eq!(written(ms), text);
        }
        assert_eq!(written(1_500), "1500ms");
        assert_eq!(written(0), "0ms");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "s", "10", "-1s", "+1s", "1.5s", "1w", "0s", "99999999999999999999s", "9999999999999999d"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
