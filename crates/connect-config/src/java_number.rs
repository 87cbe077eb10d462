//! Numbers as Java reads and writes them: `Integer.parseInt`, `Double.parseDouble`, `Double.toString`.
//!
//! Lives here: text to number and number to text, bit for bit what the Java methods answer.
//! Never here: configuration types, messages, trimming (Java's number methods differ on it, callers trim).

/// Zero of every run of ten decimal digits in the Basic Multilingual Plane, in code point order.
///
/// `Integer.parseInt` asks `Character.digit` for each UTF-16 unit, so Arabic-Indic or fullwidth digits
/// count, and digits beyond the plane (two units) do not.
const DECIMAL_ZEROS: [u32; 37] = [
    0x0030, 0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6,
    0x0D66, 0x0DE6, 0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80,
    0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0,
    0xFF10,
];

/// `Integer.parseInt`, `Long.parseLong` and `Short.parseShort` in one: a sign, then decimal digits,
/// within `min..=max`. `None` where Java throws `NumberFormatException`.
pub fn parse_integer(text: &str, min: i64, max: i64) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut magnitude: i128 = 0;
    for c in digits.chars() {
        let digit = decimal_digit(c)?;
        magnitude = magnitude.checked_mul(10)?.checked_add(i128::from(digit))?;
    }
    let value = i64::try_from(if negative { -magnitude } else { magnitude }).ok()?;
    (min..=max).contains(&value).then_some(value)
}

fn decimal_digit(c: char) -> Option<u32> {
    let code = u32::from(c);
    let run = DECIMAL_ZEROS.partition_point(|zero| *zero <= code);
    let zero = DECIMAL_ZEROS[run.checked_sub(1)?];
    (code - zero < 10).then_some(code - zero)
}

/// `Double.parseDouble` for a text without surrounding white space.
///
/// Decimal and hexadecimal floating point with an optional `f`, `F`, `d` or `D`, and the exact words
/// `NaN` and `Infinity`; too large is infinite, too small is zero. `None` where Java throws.
pub fn parse_double(text: &str) -> Option<f64> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = match unsigned {
        "NaN" => f64::NAN,
        "Infinity" => f64::INFINITY,
        _ => match unsigned
            .strip_prefix("0x")
            .or_else(|| unsigned.strip_prefix("0X"))
        {
            Some(hex) => parse_hex_magnitude(hex)?,
            None => parse_decimal_magnitude(unsigned)?,
        },
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// `Float.parseFloat` for a text without surrounding white space, as [`parse_double`].
pub fn parse_float(text: &str) -> Option<f32> {
    let double = parse_double(text)?;
    // Decimal texts are rounded once, from their own digits.
    let decimal = without_type_suffix(text).parse::<f32>();
    Some(match decimal {
        Ok(float) if !double.is_nan() => float,
        _ => double as f32,
    })
}

fn without_type_suffix(text: &str) -> &str {
    text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text)
}

fn parse_decimal_magnitude(text: &str) -> Option<f64> {
    let text = without_type_suffix(text);
    // What is left may hold digits, one point and one exponent; this keeps out the words that Rust
    // would take too (`inf`, `nan`, `infinity`), and a second sign.
    let (significand, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let digits_or_point = |b: &u8| b.is_ascii_digit() || *b == b'.';
    if !significand.as_bytes().iter().all(digits_or_point) {
        return None;
    }
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
    }
    text.parse().ok()
}

/// What follows `0x`: hexadecimal digits with an optional point, `p`, a decimal power of two.
fn parse_hex_magnitude(text: &str) -> Option<f64> {
    let (significand, exponent) = text.split_once(['p', 'P'])?;
    let exponent = without_type_suffix(exponent);
    let (exponent_negative, exponent_digits) = match exponent.as_bytes().first()? {
        b'-' => (true, &exponent[1..]),
        b'+' => (false, &exponent[1..]),
        _ => (false, exponent),
    };
    if exponent_digits.is_empty() || !exponent_digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // The clamp is far outside what any significand of a text that fits memory can bring back.
    let exponent = exponent_digits
        .parse::<i64>()
        .unwrap_or(i64::MAX)
        .min(1 << 40);
    let exponent = if exponent_negative {
        -exponent
    } else {
        exponent
    };

    let (whole, fraction) = significand.split_once('.').unwrap_or((significand, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // Up to 60 significant bits, then one bit that remembers whether anything non-zero was cut off.
    let mut bits: u64 = 0;
    let mut power = exponent;
    let mut sticky = false;
    for (digits, fractional) in [(whole, false), (fraction, true)] {
        for c in digits.chars() {
            let digit = u64::from(c.to_digit(16)?);
            if bits >> 56 == 0 {
                bits = bits << 4 | digit;
                power -= if fractional { 4 } else { 0 };
            } else {
                sticky |= digit != 0;
                power += if fractional { 0 } else { 4 };
            }
        }
    }
    Some(scale_to_double(bits, power, sticky))
}

/// `bits * 2^power` (plus a little when `sticky`) rounded half to even.
fn scale_to_double(bits: u64, power: i64, sticky: bool) -> f64 {
    if bits == 0 {
        return 0.0;
    }
    // Exponent of the leading bit decides how many bits the result keeps: 53, fewer when subnormal.
    let leading = power + i64::from(63 - bits.leading_zeros());
    if leading > 1023 {
        return f64::INFINITY;
    }
    let lowest = (leading - 52).max(-1074);
    let drop = lowest - power;
    let significand = if drop <= 0 {
        bits << -drop
    } else if drop > 63 {
        // Half of the smallest subnormal needs 64 dropped bits at most; everything here is less.
        0
    } else {
        let kept = bits >> drop;
        let cut = bits & ((1 << drop) - 1);
        let half = 1 << (drop - 1);
        let up = cut > half || cut == half && (sticky || kept & 1 == 1);
        kept + u64::from(up)
    };
    // The significand has at most 54 bits and is exact as a double; two exact steps scale it, since
    // one power of two below 2^-1022 would itself be subnormal.
    let half = lowest / 2;
    significand as f64 * power_of_two(half) * power_of_two(lowest - half)
}

fn power_of_two(exponent: i64) -> f64 {
    2f64.powi(i32::try_from(exponent).expect("between -1074 and 1023 here"))
}

/// `Double.toString` of Java 19 and later: the shortest digits that identify the double, at least one
/// after the point, `E` notation below 10^-3 and from 10^7.
pub fn double_to_string(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let magnitude = value.abs();
    if magnitude == 0.0 {
        return format!("{sign}0.0");
    }
    let mut scientific = format!("{magnitude:e}");
    if !scientific.contains('.') {
        // Of two-digit texts Java takes the nearest, also where one digit would identify the double:
        // 4.9E-324, not 5.0E-324.
        scientific = format!("{magnitude:.1e}");
    }
    let (digits, exponent) = scientific
        .split_once('e')
        .expect("`{:e}` writes an exponent");
    let exponent: i32 = exponent.parse().expect("`{:e}` writes a decimal exponent");
    if (-3..7).contains(&exponent) {
        let plain = format!("{magnitude}");
        let point = if plain.contains('.') { "" } else { ".0" };
        return format!("{sign}{plain}{point}");
    }
    format!("{sign}{digits}E{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows are answers of `Double.parseDouble` as raw bits; null where it throws.
    #[test]
    fn doubles_are_java_doubles() {
        for line in include_str!("../tests/data/double.jsonl").lines() {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = crate::java_string::trim(row["text"].as_str().unwrap());
            let actual = parse_double(text).map(|value| {
                // Java has one NaN; its sign bit is no information.
                format!(
                    "{:016x}",
                    if value.is_nan() { f64::NAN } else { value }.to_bits()
                )
            });
            assert_eq!(actual.as_deref(), row["bits"].as_str(), "{text}");
        }
    }

    #[test]
    fn doubles_print_as_in_java() {
        let rows = [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (100.0, "100.0"),
            (0.001, "0.001"),
            (9.99e-4, "9.99E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.234_567_8e10, "1.2345678E10"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
            (5e-324, "4.9E-324"),
            (1e23, "1.0E23"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, expected) in rows {
            assert_eq!(double_to_string(value), expected);
        }
    }

    #[test]
    fn integers_are_java_integers() {
        let int = |text| parse_integer(text, i32::MIN.into(), i32::MAX.into());
        let rows = [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("+7", Some(7)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", None),
            ("-2147483648", Some(-2_147_483_648)),
            (
                "000000000000000000000000000000000000000000000000000012",
                Some(12),
            ),
            ("99999999999999999999999999999999999999999999999999", None),
            ("\u{661}\u{662}", Some(12)),
            ("\u{FF15}", Some(5)),
            ("\u{1D7CE}", None),
            ("", None),
            ("+", None),
            ("-", None),
            ("+-1", None),
            ("1_000", None),
            ("0x10", None),
            ("\u{2212}1", None),
        ];
        for (text, expected) in rows {
            assert_eq!(int(text), expected, "{text}");
        }
    }
}
