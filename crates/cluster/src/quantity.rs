//! Kubernetes quantities: exact values and the canonical text that Kubernetes writes.

/// An amount, exact to a billionth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity {
    /// Billionths.
    nano: i128,
    /// Which family of suffixes the canonical text uses.
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Format {
    Binary,
    Decimal,
    Exponent,
}

const NANO: i128 = 1_000_000_000;
const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];
const DECIMAL: [(&str, i32); 9] =
    [("n", -9), ("u", -6), ("m", -3), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

impl Quantity {
    /// Reads `1Gi`, `500m`, `1.5`, `1e9`, ... The error says what is wrong and what is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let error = || format!("{text:?} is not a quantity");
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-' && c != '+')
            .unwrap_or(text.len());
        let (digits, scale) = decimal(&text[..end]).ok_or_else(error)?;
        let suffix = &text[end..];
        if let Some((_, bits)) = BINARY.iter().find(|(name, _)| *name == suffix) {
            let value = digits.checked_mul(1 << bits).ok_or_else(error)?;
            return scaled(value, scale).map(|nano| Self { nano, format: Format::Binary }).ok_or_else(error);
        }
        let (exponent, format) = match DECIMAL.iter().find(|(name, _)| *name == suffix) {
            Some((_, exponent)) => (*exponent, Format::Decimal),
            None if suffix.is_empty() => (0, Format::Decimal),
            None => {
                let exponent = suffix.strip_prefix(['e', 'E']).and_then(|rest| rest.parse().ok());
                (exponent.ok_or_else(|| unknown_suffix(text, suffix))?, Format::Exponent)
            }
        };
        let scale = scale.checked_add(exponent).ok_or_else(error)?;
        scaled(digits, scale).map(|nano| Self { nano, format }).ok_or_else(error)
    }

    /// The amount in billionths.
    pub fn nano(self) -> i128 {
        self.nano
    }

    /// True for 0.
    pub fn is_zero(self) -> bool {
        self.nano == 0
    }

    /// True for amounts below 0.
    pub fn is_negative(self) -> bool {
        self.nano < 0
    }

    /// Compares amounts, whatever their spelling.
    pub fn less_than(self, other: Self) -> bool {
        self.nano < other.nano
    }

    /// The amount in whole units, rounded up; for volumes and memory that is bytes.
    pub fn whole(self) -> i128 {
        -((-self.nano).div_euclid(NANO))
    }

    /// The text that Kubernetes writes for this amount.
    pub fn canonical(self) -> String {
        match self.format {
            Format::Binary => self.binary().unwrap_or_else(|| self.decimal()),
            Format::Decimal => self.decimal(),
            Format::Exponent => self.exponent(),
        }
    }

    fn binary(self) -> Option<String> {
        // Kubernetes leaves binary suffixes for amounts below 1024 and for fractions of a byte.
        if self.nano % NANO != 0 || (self.nano / NANO).abs() < 1024 {
            return None;
        }
        let whole = self.nano / NANO;
        let (suffix, bits) =
            BINARY.iter().rev().find(|(_, bits)| whole % (1i128 << bits) == 0).copied().unwrap_or(("", 0));
        Some(format!("{}{suffix}", whole >> bits))
    }

    fn decimal(self) -> String {
        let (mantissa, exponent) = self.thousands();
        let suffix = DECIMAL.iter().find(|(_, e)| *e == exponent).map_or("", |(name, _)| name);
        format!("{mantissa}{suffix}")
    }

    fn exponent(self) -> String {
        let (mantissa, exponent) = self.thousands();
        if exponent == 0 { mantissa.to_string() } else { format!("{mantissa}e{exponent}") }
    }

    /// A whole mantissa and the largest exponent that is a multiple of three.
    fn thousands(self) -> (i128, i32) {
        if self.nano == 0 {
            return (0, 0);
        }
        let (mut mantissa, mut exponent) = (self.nano, -9);
        while mantissa % 1000 == 0 && exponent < 18 {
            mantissa /= 1000;
            exponent += 3;
        }
        (mantissa, exponent)
    }
}

/// Digits and the power of ten they are multiplied with.
fn decimal(text: &str) -> Option<(i128, i32)> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: i128 = all.parse().ok()?;
    Some((if negative { -value } else { value }, -i32::try_from(fraction.len()).ok()?))
}

/// `digits` times ten to the power of `scale` in billionths, rounded up like Kubernetes does.
fn scaled(digits: i128, scale: i32) -> Option<i128> {
    let power = scale + 9;
    if power >= 0 {
        return digits.checked_mul(10i128.checked_pow(power.unsigned_abs())?);
    }
    let divisor = 10i128.checked_pow(power.unsigned_abs())?;
    Some(-((-digits).div_euclid(divisor)))
}

fn unknown_suffix(text: &str, suffix: &str) -> String {
    if suffix == "K" {
        return format!("{text:?} is not a quantity: there is no suffix \"K\"");
    }
    format!("{text:?} is not a quantity: there is no suffix {suffix:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_texts() {
        let cases = [
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("0.8Gi", "858993459200m"),
            ("100m", "100m"),
            ("1", "1"),
            ("500Mi", "500Mi"),
            ("1G", "1G"),
            ("1000M", "1G"),
            ("1e9", "1e9"),
            ("10", "10"),
            ("0", "0"),
            ("1E", "1E"),
            ("1E3", "1e3"),
            ("100k", "100k"),
            ("256M", "256M"),
        ];
        for (text, expected) in cases {
            assert_eq!(Quantity::parse(text).unwrap().canonical(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_quantity() {
        for text in ["100K", "1e3Gi", "1 Gi", "1gi", "1GiB", "", ".", "null", "Gi"] {
            assert!(Quantity::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn comparison_is_by_value() {
        let q = |text| Quantity::parse(text).unwrap();
        assert!(q("1G").less_than(q("2G")));
        assert!(q("1G").less_than(q("1Gi")));
        assert!(!q("1024Mi").less_than(q("1G")));
        assert!(!q("1e9").less_than(q("1G")));
    }
}
