//! Several measurements of one thing as one figure.

/// Median and range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// `None` of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            (values[middle - 1] + values[middle]) / 2.0
        } else {
            values[middle]
        };
        Some(Self { median, min, max })
    }

    /// `2.09 (2.04–2.13)`.
    pub fn text(&self, decimals: usize) -> String {
        format!(
            "{:.decimals$} ({:.decimals$}–{:.decimals$})",
            self.median, self.min, self.max
        )
    }
}

/// How often `ours` goes into `theirs`, by medians. `None` when one is missing or ours is nothing.
pub fn ratio(theirs: Option<Spread>, ours: Option<Spread>) -> Option<f64> {
    let (theirs, ours) = (theirs?.median, ours?.median);
    (ours > 0.0).then(|| theirs / ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_any_number() {
        let rows: [(&[f64], Option<&str>); 4] = [
            (&[], None),
            (&[2.0], Some("2.00 (2.00–2.00)")),
            (&[3.0, 1.0], Some("2.00 (1.00–3.00)")),
            (&[9.0, 1.5, 2.0], Some("2.00 (1.50–9.00)")),
        ];
        for (values, expected) in rows {
            let text = Spread::of(values.iter().copied()).map(|spread| spread.text(2));
            assert_eq!(text.as_deref(), expected, "{values:?}");
        }
    }

    #[test]
    fn a_ratio_needs_both() {
        let (two, eight) = (Spread::of([2.0]), Spread::of([8.0]));
        assert_eq!(ratio(eight, two), Some(4.0));
        assert_eq!(ratio(eight, None), None);
        assert_eq!(ratio(eight, Spread::of([0.0])), None);
    }
}
