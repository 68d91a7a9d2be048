//! Numbers and times as people read them. Without it, the view, `status` and the report would each write them in their
//! own way.

/// With a comma between thousands: `20,000`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (ix, digit) in digits.chars().enumerate() {
        if ix > 0 && (digits.len() - ix).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number and its noun: `1 item`, `20,000 items`.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A time in seconds: `0.4 s`, `12.3 s`, `3 min 05 s`, `2 h 07 min`, `3 d 04 h`. What is not a time counts as none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is finite and not negative")]
pub fn seconds(time: f64) -> String {
    let time = if time.is_finite() { time.max(0.0) } else { 0.0 };
    if time < 59.95 {
        return format!("{time:.1} s");
    }
    let whole = time.round() as u64;
    let (big, small, words) = match whole {
        ..3_600 => (whole / 60, whole % 60, ("min", "s")),
        3_600..86_400 => (whole / 3_600, whole % 3_600 / 60, ("h", "min")),
        86_400.. => (whole / 86_400, whole % 86_400 / 3_600, ("d", "h")),
    };
    format!("{} {} {small:02} {}", grouped(big), words.0, words.1)
}

/// Items per second: exact to a tenth below ten, whole above.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is finite and not negative")]
pub fn rate(per_second: f64) -> String {
    let rate = if per_second.is_finite() { per_second.max(0.0) } else { 0.0 };
    match rate {
        ..0.05 => "0".to_owned(),
        0.05..9.95 => format!("{rate:.1}"),
        _ => grouped(rate.round() as u64),
    }
}

/// How full something is, as a bar of `width` characters: `█` for what waits, `▒` for what is in somebody's hands, `·`
/// for room. What is there at all is never invisible, and a bar without room is never shown before there is none.
pub fn bar(waiting: u64, in_hand: u64, capacity: u64, width: usize) -> String {
    let room = width as u64;
    let depth = waiting.saturating_add(in_hand);
    let scaled = |amount: u64| {
        let exact = u128::from(amount) * u128::from(room) / u128::from(capacity.max(1));
        u64::try_from(exact).unwrap_or(room)
    };
    let some = |amount: u64| u64::from(amount > 0);
    let full = depth > 0 && depth >= capacity;
    let all = if full { room } else { scaled(depth).max(some(waiting) + some(in_hand)).min(room.saturating_sub(1)) };
    let first = scaled(waiting).max(some(waiting)).min(all.saturating_sub(some(in_hand)));
    let cells = |count: u64, cell: &str| cell.repeat(usize::try_from(count).unwrap_or(width));
    cells(first, "█") + &cells(all - first, "▒") + &cells(room - all, "·")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let shown = [0, 999, 1_000, 20_000, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "20,000", "1,234,567"]);
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!([0, 1, 2].map(|n| counted(n, "item")), ["0 items", "1 item", "2 items"]);
    }

    #[test]
    fn times_change_their_unit_with_their_size() {
        let shown = [0.04, 12.34, 59.94, 59.96, 185.2, 3_599.6, 7_620.0, 277_200.0].map(seconds);
        assert_eq!(
            shown,
            ["0.0 s", "12.3 s", "59.9 s", "1 min 00 s", "3 min 05 s", "1 h 00 min", "2 h 07 min", "3 d 05 h"]
        );
        assert_eq!([f64::NAN, f64::INFINITY, -1.0].map(seconds), ["0.0 s", "0.0 s", "0.0 s"]);
    }

    #[test]
    fn slow_rates_have_a_tenth() {
        assert_eq!([0.0, 0.04, 0.25, 9.9, 9.96, 1_234.4].map(rate), ["0", "0", "0.2", "9.9", "10", "1,234"]);
        assert_eq!([f64::NAN, -3.0].map(rate), ["0", "0"]);
    }

    #[test]
    fn a_bar_shows_a_single_item_and_keeps_a_last_free_place() {
        assert_eq!(bar(0, 0, 1_024, 8), "········");
        assert_eq!(bar(1, 0, 1_024, 8), "█·······");
        assert_eq!(bar(1, 1, 1_024, 8), "█▒······");
        assert_eq!(bar(0, 3, 1_024, 8), "▒·······");
        assert_eq!(bar(512, 256, 1_024, 8), "████▒▒··");
        assert_eq!(bar(1_023, 0, 1_024, 8), "███████·");
        assert_eq!(bar(994, 2, 1_024, 8), "██████▒·");
        assert_eq!(bar(1_000, 24, 1_024, 8), "███████▒");
        assert_eq!(bar(1_024, 0, 1_024, 8), "████████");
        assert_eq!(bar(u64::MAX, u64::MAX, u64::MAX, 4), "███▒");
        assert_eq!(bar(0, 0, 0, 4), "····");
        assert_eq!(bar(1, 1, 1, 0), "");
    }
}
