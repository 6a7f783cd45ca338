//! Medians and the like.

/// The middle of some numbers and their ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one number.
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Some(Self { median, min, max })
    }
}

/// The order of a round: each tool goes first in turn, and every other round goes backwards, so that
/// none always follows the same other.
pub(crate) fn rotated(count: usize, round: usize) -> Vec<usize> {
    let nth =
        |step: usize| if round.is_multiple_of(2) { round + step } else { round + count * 2 - step };
    (0..count).map(|step| nth(step) % count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(Spread::of([]), None);
        let spread = Spread::of([3.0, 1.0, 2.0, 10.0]).unwrap();
        assert_eq!(spread, Spread { median: 2.5, min: 1.0, max: 10.0 });
        assert!((Spread::of([5.0, 1.0, 2.0]).unwrap().median - 2.0).abs() < 1e-9);
    }

    #[test]
    fn orders_rotate_and_turn() {
        assert_eq!(rotated(3, 0), [0, 1, 2]);
        assert_eq!(rotated(3, 1), [1, 0, 2]);
        assert_eq!(rotated(3, 2), [2, 0, 1]);
        assert_eq!(rotated(3, 3), [0, 2, 1]);
        assert!(rotated(0, 5).is_empty());
    }
}
